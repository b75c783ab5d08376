// Starts redis-sessions and prints its first answer.
const RedisSessions = require("redis-sessions").default ?? require("redis-sessions");
const sessions = new RedisSessions({ options: { url: process.env.REDIS_URL }, namespace: "cold", wipe: 0 });
const request = process.argv[2] === "create"
  ? { app: "webapp", id: "peter", ip: "192.0.2.7", d: { name: "Peter" } }
  : { app: "webapp", token: process.env.TOKEN };
sessions[process.argv[2]](request).then((answer) => {
  process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));
});
