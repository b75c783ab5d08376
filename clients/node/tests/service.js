// `make dev` in a process of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";

// The tests say themselves which service they call.
for (const name of ["URL", "APP", "KEY"]) delete process.env[`REST_SESSIONS_${name}`];

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url)).replace(/\/$/, "");

export async function startService(environment = { AUTH: "1" }) {
  const port = await freePort();
  const service = spawn(`${ROOT}/.venv/bin/python`, ["-m", "dev"], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: `${ROOT}:${ROOT}/layers/sessions`,
      PYTHONPYCACHEPREFIX: `${ROOT}/.venv/pycache`,
      PORT: String(port),
      ...environment,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => service.kill());
  let greeting = "";
  for await (const line of createInterface({ input: service.stdout })) {
    greeting += `${line}\n`;
    if (line.startsWith("Ctrl-C")) break;
  }
  if (!greeting.includes("Ctrl-C")) throw new Error(`make dev did not start:\n${greeting}`);
  service.stdout.resume();
  return {
    url: `http://127.0.0.1:${port}`,
    /** The key that `make dev AUTH=1` has made. */
    key: greeting.match(/Bearer ([^']+)'/)?.[1],
    async stop() {
      service.kill();
      if (service.exitCode === null) await once(service, "exit");
    },
  };
}

/** All that an async iterator yields. */
export async function listed(iterator) {
  const items = [];
  for await (const item of iterator) items.push(item);
  return items;
}

export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  return port;
}
