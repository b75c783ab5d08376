import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { inspect } from "node:util";

import * as api from "rest-sessions-client";
import { freePort, listed, startService } from "./service.js";

const { Client } = api;
const KEY = "the-key-that-nobody-may-see";
const TOKEN = "A".repeat(64);
const SESSION = { r: 1, w: 1, ttl: 7200, idle: 0, ip: "192.0.2.7" };
const AWAY = { status: 503, headers: { "Retry-After": "0" }, body: { name: "storeUnavailable", message: "Away" } };
const service = await startService();
after(service.stop);

let apps = 0;
const newClient = (options) => new Client({ ...service, app: `app-${++apps}`, ...options });

/** A client of a server that gives these answers, one after the other: an object, or null to end the connection. */
async function clientOf(t, answers, options) {
  const requests = [];
  const server = createServer((req, res) => {
    requests.push(`${req.method} ${req.url}`);
    const answer = answers.shift();
    if (answer === null) return req.socket.destroy();
    const { status = 200, headers, body } = answer;
    res.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close() && server.closeAllConnections());
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { client: new Client({ url, app: "webapp", key: KEY, ...options }), requests, server };
}

test("a session's life", async () => {
  const client = newClient();
  const { token } = await client.create({ id: "user123", ip: "192.0.2.7", data: { name: "Peter" } });
  assert.equal((await client.set(token, { unread: 12 })).w, 2);
  assert.deepEqual((await client.get(token)).data, { name: "Peter", unread: 12 });
  assert.equal(await client.kill(token), 1);
  assert.equal(await client.get(token), null);
});

test("update loses nothing", async () => {
  const client = newClient({ timeout: 20 });
  const { token } = await client.create({ ip: "192.0.2.7" });
  const worker = async () => {
    for (let i = 0; i < 25; i++) await client.update(token, ({ points = 0 }) => ({ points: points + 1 }));
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  assert.equal((await client.get(token)).data.points, 200);
});

test("an update that is unsure says so, unless it can tell", async (t) => {
  const at = (w) => ({ body: { ...SESSION, w, d: { points: 1 } } });
  const change = ({ points }) => ({ points: points + 1 });
  const conflict = { status: 409, body: { name: "conflict", message: "w is 2, not 1" } };

  const unwritten = await clientOf(t, [at(1), null, at(1), at(2)]);
  assert.equal((await unwritten.client.update(TOKEN, change)).w, 2);
  assert.equal(unwritten.requests.length, 4);

  for (const answers of [[at(1), null, at(2)], [at(1), null, at(1), conflict], [at(1), null, at(1), null]]) {
    const { client } = await clientOf(t, answers);
    await assert.rejects(client.update(TOKEN, change), api.ConnectionLost);
    assert.deepEqual(answers, []);
  }
});

test("a call is repeated once, after Retry-After or a lost connection", async (t) => {
  for (const failure of [AWAY, null]) {
    const good = await clientOf(t, [failure, { body: SESSION }]);
    assert.equal((await good.client.get(TOKEN)).r, 1);
    assert.deepEqual(good.requests, Array(2).fill(`GET /webapp/get/${TOKEN}`));
    const bad = await clientOf(t, [failure, failure, { body: SESSION }]);
    await assert.rejects(bad.client.get(TOKEN), failure ? api.StoreUnavailable : api.ConnectionLost);
    assert.equal(bad.requests.length, 2);
  }
});

test("a call waits as long as Retry-After says, and not beyond its deadline", async (t) => {
  const later = { ...AWAY, headers: { "Retry-After": "1" } };
  const { client } = await clientOf(t, [later, { body: SESSION }]);
  const start = performance.now();
  await client.get(TOKEN);
  assert.ok(performance.now() - start >= 990);
  const hasty = await clientOf(t, [later, { body: SESSION }], { timeout: 0.5 });
  await assert.rejects(hasty.client.get(TOKEN), { name: "storeUnavailable", status: 503, retryAfter: 1 });
});

test("set with w is never repeated", async (t) => {
  for (const failure of [AWAY, null]) {
    const { client, requests } = await clientOf(t, [failure, { body: SESSION }]);
    await assert.rejects(client.set(TOKEN, { a: 1 }, { w: 1 }), api.Unavailable);
    assert.equal(requests.length, 1);
  }
});

test("a call ends at its deadline, also while it reads the answer", async (t) => {
  const silent = await clientOf(t, [], { timeout: 0.2 });
  silent.server.removeAllListeners("request").on("request", () => {});
  await assert.rejects(silent.client.get(TOKEN), { name: "NoAnswer", message: /in time/ });
  silent.server.removeAllListeners("request").on("request", (req, res) => res.write("{"));
  await assert.rejects(silent.client.get(TOKEN), { name: "NoAnswer", message: /in time/ });
});

test("connections are kept", async (t) => {
  const answers = Array.from({ length: 20 }, () => ({ body: SESSION }));
  const { client, server } = await clientOf(t, answers);
  let connections = 0;
  server.on("connection", () => connections++);
  while (answers.length > 0) await client.get(TOKEN);
  // The first is not free again when its answer has been read.
  assert.ok(connections <= 2, String(connections));
});

test("what is not reached, or is no REST Sessions API, is told", async (t) => {
  const nobody = new Client({ url: `http://127.0.0.1:${await freePort()}`, app: "webapp" });
  await assert.rejects(nobody.get(TOKEN), { name: "NoAnswer", message: /ECONNREFUSED/, status: undefined });
  const named = (name) => ({ name, message: "from elsewhere" });
  const answers = [
    [{ body: "<html>" }, api.UnexpectedAnswer],
    [{ body: "[]" }, api.UnexpectedAnswer],
    [{ status: 302, headers: { Location: "/elsewhere" }, body: "" }, api.UnexpectedAnswer],
    [{ status: 404, body: { message: "Not Found" } }, api.UnexpectedAnswer],
    [{ status: 404, body: named("TooLarg") }, api.UnexpectedAnswer],
    [{ status: 404, body: named("ApiError") }, api.UnexpectedAnswer],
    [{ status: 404, body: named("NoAnswer") }, api.UnexpectedAnswer],
    [{ status: 401, body: { message: "Unauthorized" } }, api.Unauthorized],
    [{ status: 403, body: { Message: "denied" } }, api.Forbidden],
    [{ status: 429, body: { message: "Too Many Requests" } }, api.TooManyRequests],
    [{ status: 500, body: named("internalError") }, api.InternalError],
    [{ status: 504, body: "" }, api.Unavailable],
  ];
  for (const [answer, kind] of answers) {
    const { client, requests } = await clientOf(t, [answer]);
    await assert.rejects(client.get(TOKEN), kind);
    assert.equal(requests.length, 1);
  }
});

test("a session that is missing is null, also with MISSING_SESSION=404", async () => {
  const other = await startService({ MISSING_SESSION: "404" });
  after(other.stop);
  const client = new Client({ ...other, app: "webapp" });
  assert.equal(await client.get(TOKEN), null);
  assert.equal(await client.set(TOKEN, { a: 1 }), null);
  assert.equal(await client.rotate(TOKEN), null);
  assert.equal(await client.update(TOKEN, () => ({ a: 1 })), null);
});

test("neither a token nor the key is shown", async (t) => {
  const created = await newClient().create({ ip: "192.0.2.7" });
  assert.doesNotMatch(inspect(created, { showHidden: true }) + JSON.stringify(created), /Z[A-Za-z0-9]{63}/);
  const away = new Client({ url: `http://127.0.0.1:${await freePort()}`, app: "webapp", key: KEY });
  const strange = { status: 500, body: { name: "nonsense", message: TOKEN } };
  const { client } = await clientOf(t, [null, null, strange]);
  const failures = [
    await away.get(TOKEN).catch((error) => error),
    await away.create({ ip: "192.0.2.7", token: TOKEN }).catch((error) => error),
    await client.get(`${TOKEN}/`).catch((error) => error),
    await client.get(TOKEN).catch((error) => error),
    await client.get(TOKEN).catch((error) => error),
  ];
  for (const failure of failures) assert.ok(failure instanceof api.ApiError && !("cause" in failure));
  for (const shown of [away, ...failures]) {
    const text = inspect(shown, { showHidden: true, depth: 9 }) + JSON.stringify(shown);
    assert.ok(!text.includes(TOKEN) && !text.includes(KEY), text);
  }
});

test("a misspelt or missing parameter ends nothing", async () => {
  const client = newClient();
  await client.create({ id: "peter", ip: "192.0.2.7" });
  await assert.rejects(client.killsoid("peter", { exept: "x" }), api.UnknownParameter);
  await assert.rejects(client.killsoid("peter", { except: undefined }), api.InvalidFormat);
  await assert.rejects(client.killsoid("peter", { handle: null }), api.InvalidFormat);
  await assert.rejects(client.killsoid("peter", { except: false }), api.InvalidFormat);
  for (const id of [undefined, null, 5, "\ud800"]) await assert.rejects(client.killsoid(id), api.InvalidFormat);
  assert.equal((await listed(client.soid("peter"))).length, 1);
});

test("a wrong setting is told, without its value", () => {
  const options = { url: service.url, app: "webapp" };
  const wrong = [
    {},
    { url: service.url },
    { ...options, url: "ftp://secret" },
    { ...options, url: "secret" },
    { ...options, url: "http://user:secret@localhost" },
    { ...options, url: "http://localhost/?secret" },
    { ...options, key: "a secret" },
    { ...options, key: "secret\n" },
    { ...options, timeout: 0 },
    { ...options, timeout: 3000 },
  ];
  for (const given of wrong) {
    assert.throws(
      () => new Client(given),
      (error) => error instanceof api.ConfigurationError && !error.message.includes("secret"),
    );
  }
});

test("what is not passed comes from the environment", async (t) => {
  const given = { URL: service.url, APP: "environment", KEY: service.key };
  for (const [name, value] of Object.entries(given)) process.env[`REST_SESSIONS_${name}`] = value;
  t.after(() => Object.keys(given).forEach((name) => delete process.env[`REST_SESSIONS_${name}`]));
  assert.equal(await new Client().activity(600), 0);
});

test("the declarations have all names", () => {
  const declared = (file) => readFileSync(new URL(`../lib/${file}.d.ts`, import.meta.url), "utf8");
  const has = (file, name) => new RegExp(`^(export class | +|export function )${name}\\b`, "m").test(declared(file));
  for (const name of Object.keys(api)) assert.ok(has("index", name), name);
  for (const name of Object.getOwnPropertyNames(Client.prototype)) assert.ok(has("index", name), name);
});
