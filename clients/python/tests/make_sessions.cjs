// Makes sessions with redis-sessions itself. Prints each as a line of JSON, with its token and whether it was killed.
// node make_sessions.cjs FOLDER_OF_REDIS_SESSIONS PORT NAMESPACE COUNT APP…
const [folder, port, namespace, count, ...apps] = process.argv.slice(2);
const { default: RedisSessions } = require(folder);

const DATA = [
  undefined,
  { name: "Peter", unread: 12, admin: true },
  { text: "딸기 \u0000 </script>", empty: "", float: 0.1, big: 1e300, negative: -7 },
];

(async () => {
  const sessions = new RedisSessions({ port: Number(port), namespace, wipe: 0 });
  for (let n = 0; n < Number(count); n++) {
    const made = {
      app: apps[n % apps.length],
      id: `user-${n % 50}`,
      ip: `192.0.2.${n % 250}`,
      ttl: 600 + n,
      d: DATA[n % DATA.length],
      no_resave: n % 7 === 0,
    };
    const { token } = await sessions.create({ ...made, d: made.d && { ...made.d } });
    const killed = n % 11 === 10;
    if (killed) await sessions.kill({ app: made.app, token });
    console.log(JSON.stringify({ ...made, token, killed }));
  }
  await sessions.quit();
})();
