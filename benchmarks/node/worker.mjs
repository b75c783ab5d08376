// redis-sessions 4.0.0, called directly, like in a Node Lambda function. Executes the same orders as handler_worker.py.
import { createInterface } from "node:readline";
import RedisSessions from "redis-sessions";

const { APP, IP, DATA, CHANGES, DT, POOL, SESSIONS_OF_USER, LISTED_APP, LISTED } = JSON.parse(process.env.WORKLOAD);
const Sessions = RedisSessions.default ?? RedisSessions;
const sessions = new Sessions({ options: { url: process.env.REDIS_URL }, namespace: process.env.NAMESPACE, wipe: 0 });

let own = APP;
let tokens = [];
let users = 0;

const create = async (id, app = own) => (await sessions.create({ app, id, ip: IP, d: { ...DATA } })).token;

const fill = async ({ app = APP, count = POOL }) => {
  own = app;
  for (let i = 0; i < count; i++) tokens.push(await create(`user${i}`));
  for (let i = 0; i < LISTED; i++) await create(`user${i}`, LISTED_APP);
};

const prepare = async (operation, count) => {
  const first = users;
  users += count;
  const list = (make) => Promise.all(Array.from({ length: count }, (_, i) => make(first + i, i)));
  switch (operation) {
    case "create": return list((n) => ({ app: own, id: `new${n}`, ip: IP, d: { ...DATA } }));
    case "get": return list((n) => ({ app: own, token: tokens[n % tokens.length] }));
    case "set": return list((n) => ({ app: own, token: tokens[n % tokens.length], d: { ...CHANGES } }));
    case "kill": return list(async (n) => ({ app: own, token: await create(`new${n}`) }));
    case "soid":
    case "killsoid": {
      const ids = await list((n, i) => (operation === "soid" ? `soid${i % 20}` : `new${n}`));
      for (const id of new Set(ids)) {
        const { sessions: known } = await sessions.soid({ app: own, id });
        for (let i = known.length; i < SESSIONS_OF_USER; i++) await create(id);
      }
      return ids.map((id) => ({ app: own, id }));
    }
    case "soapp": return list(() => ({ app: LISTED_APP, deltaTime: DT }));
    case "activity": return list(() => ({ app: own, deltaTime: DT }));
  }
  throw new Error(operation);
};

const time = async (operation, requests) => {
  const taken = [];
  for (const request of requests) {
    const start = process.hrtime.bigint();
    const answer = await sessions[operation](request);
    taken.push(Number(process.hrtime.bigint() - start));
    if (!answer) throw new Error(operation);
  }
  return taken;
};

const fillMany = async ({ count, app, ttl }) => {
  for (let i = 0; i < count; i += 500) {
    const ids = Array.from({ length: Math.min(500, count - i) }, (_, k) => `user${String(i + k).padStart(7, "0")}`);
    await Promise.all(ids.map((id) => sessions.create({ app, id, ip: IP, ttl, d: { ...DATA } })));
  }
};

const read = async ({ seconds }) => {
  const taken = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) taken.push(...(await time("get", await prepare("get", 20))));
  return taken;
};

let prepared;
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer = null;
  if (order.do === "fill") await fill(order);
  else if (order.do === "fill_many") await fillMany(order);
  else if (order.do === "read") answer = await read(order);
  else if (order.do === "killall") {
    try { answer = (await sessions.killall({ app: order.app })).kill; } catch (error) { answer = error.message || String(error); }
  } else if (order.do === "sweep") {
    try { await sessions._wipe(); } catch (error) { answer = error.message || String(error); }
  }
  else if (order.do === "prepare") prepared = await prepare(order.operation, order.count);
  else answer = await time(order.operation, prepared);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await sessions.quit();
