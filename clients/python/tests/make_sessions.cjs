// Makes sessions with redis-sessions itself. Then prints each as a line of JSON: its app, its token, and the session as
// redis-sessions shows it, null for one that was killed or has expired.
// node make_sessions.cjs FOLDER_OF_REDIS_SESSIONS PORT NAMESPACE COUNT APP…
const [folder, port, namespace, count, ...apps] = process.argv.slice(2);
const { default: RedisSessions } = require(folder);

// redis-sessions asks this for the time, so that sessions can be made which are some time old.
const now = Date.now;
let secondsAgo = 0;
Date.now = () => now() - secondsAgo * 1000;

const IDS = ["user", "peter@example.com", "딸기", "a:b", "two words", "😀", "'\"\\<>&+#;=", "."];
const DATA = [
  undefined,
  { name: "Peter", unread: 12, admin: true, guest: false },
  { text: "딸기 😀 \u0000 \u2028 </script> \\ \"", empty: "", "": 0, "딸기": 1, id: "x", "a.b c": "y" },
  { fraction: 0.1, third: 1 / 3, big: 1e300, small: 5e-324, large: 2 ** 53 - 1, negative: -7, exponent: 1e21 },
  { long: "x".repeat(20_000) },
];

(async () => {
  const sessions = new RedisSessions({ port: Number(port), namespace, wipe: 0 });
  const made = [];
  for (let n = 0; n < Number(count); n++) {
    const ttl = [600, "7200", 86_400, 30 * 86_400][n % 4];
    // Every ninth has expired.
    secondsAgo = n % 9 === 8 ? Number(ttl) + 1 + n : n % 3 === 0 ? n % 590 : 0;
    const app = apps[n % apps.length];
    const id = `${IDS[n % IDS.length]}${n % 50}`;
    const d = DATA[n % DATA.length];
    const { token } = await sessions.create({
      app, id, ip: n % 2 ? `192.0.2.${n % 250}` : "2001:db8::1", ttl, no_resave: n % 7 === 0, d: d && { ...d },
    });
    made.push({ app, id, token });
    secondsAgo = 0;
    if (n % 11 === 10) await sessions.kill({ app, token });
    else if (n % 13 === 0) await sessions.set({ app, token, d: { name: null, later: n } });
    else if (n % 17 === 0) await sessions.get({ app, token });
  }
  for (const one of made) {
    // Without an update of its counters and idle time.
    const session = await sessions.get({ app: one.app, token: one.token, _noupdate: true });
    console.log(JSON.stringify({ ...one, session }));
  }
  await sessions.quit();
})();
