import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";

import { Client, Forbidden, NoAnswer } from "rest-sessions-client";
import { generateToken, RestSessionsStore } from "rest-sessions-client/express-session";
import { freePort, listed, startService } from "./service.js";
import { Browser, calls, gate, show, signedCookie, signedSessions, startSite } from "./site.js";

const service = await startService();
after(service.stop);

const MONTH = 30 * 86_400_000;
const ROUTES = {
  "/": show,
  "/set/:key/:value": (req, res) => {
    req.session[req.params.key] = req.params.value;
    res.end();
  },
  "/delete/:key": (req, res) => {
    delete req.session[req.params.key];
    res.end();
  },
  "/login/:id": (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.userId = req.params.id;
      res.end();
    });
  },
  "/logout": (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.end()));
  },
  "/remember": (req, res) => {
    req.session.cookie.maxAge = MONTH;
    res.json(req.session.cookie);
  },
};
const tokenSessions = (options) => signedSessions({ genid: generateToken, ...options });
const user = (session) => session.userId;

/** The sessions on the service, with their data as they are kept there. */
const kept = ({ client }) => listed(client.soapp(600, { details: true }));

test("what each request calls", async (t) => {
  const site = await startSite(t, service, ROUTES, { user });
  const browser = new Browser(site);
  const called = async (path) => {
    assert.equal((await browser.get(path)).status, 200);
    return calls.take();
  };
  assert.deepEqual(await called("/"), []);
  assert.deepEqual(await called("/set/cart/2"), ["create"]);
  assert.deepEqual(await called("/"), ["get"]);
  assert.deepEqual(await called("/set/cart/3"), ["get", "set"]);
  assert.deepEqual(await called("/set/cart/3"), ["get"]);
  assert.deepEqual(await called("/login/peter"), ["get", "kill", "create"]);
  assert.deepEqual(await browser.json("/"), { userId: "peter" });
  assert.deepEqual(calls.take(), ["get"]);
  assert.deepEqual(await called("/logout"), ["get", "kill"]);
  assert.deepEqual(await called("/"), ["get"]);
  assert.deepEqual(await kept(site), []);
});

test("parallel requests lose nothing", async (t) => {
  const all = gate();
  let waiting = 0;
  const routes = {
    ...ROUTES,
    "/parallel/:key": async (req, res) => {
      if (++waiting === 25) all.open();
      await all.opened;
      req.session[req.params.key] = true;
      if (req.params.key === "24") delete req.session.gone;
      res.end();
    },
  };
  const site = await startSite(t, service, routes, { timeout: 20 });
  const browser = new Browser(site);
  await browser.get("/set/gone/1");
  await Promise.all(Array.from({ length: 25 }, (_, key) => browser.get(`/parallel/${key}`)));
  assert.equal(Object.keys(await browser.json("/")).length, 25);
});

test("a slow request beside a logout revives nothing", async (t) => {
  const started = gate();
  const goOn = gate();
  const slow = async (req, res) => {
    started.open();
    await goOn.opened;
    req.session.late = true;
    res.end();
  };
  const site = await startSite(t, service, { ...ROUTES, "/slow": slow }, { cookie: { maxAge: MONTH } });
  const warned = once(process, "warning");
  const browser = new Browser(site);
  await browser.get("/set/a/1");
  const answer = browser.get("/slow");
  await started.opened;
  await browser.get("/logout");
  calls.take();
  goOn.open();
  assert.equal((await answer).status, 200);
  assert.deepEqual(calls.take(), ["set"]);
  assert.match((await warned)[0].message, /ended during a request/);
  assert.deepEqual(await browser.json("/"), {});
  assert.deepEqual(await kept(site), []);
  assert.deepEqual(site.errors, []);
});

test("an id that is made again replaces its session, and begins none that was ended", async (t) => {
  const id = generateToken();
  const sessions = (options) => signedSessions({ genid: () => id, ...options });
  const site = await startSite(t, service, ROUTES, { sessions });
  await new Browser(site).get("/set/a/1");
  await new Browser(site).get("/set/b/2");
  assert.deepEqual(calls.take(), ["create", "create", "set"]);
  assert.equal((await site.store.get(id)).b, "2");
  await site.store.destroy(id);
  calls.take();
  assert.equal((await new Browser(site).get("/set/b/2")).status, 200);
  assert.deepEqual(calls.take(), ["create", "set"]);
  assert.deepEqual(await kept(site), []);
  assert.deepEqual(site.errors, []);
});

test("values are kept as JSON, and null stays", async (t) => {
  const values = { nothing: null, nested: { a: [1, null] }, undefined, aFunction() {}, date: new Date(0), "": "empty" };
  const fill = (req, res) => {
    Object.assign(req.session, values);
    res.end();
  };
  const site = await startSite(t, service, { ...ROUTES, "/fill": fill });
  const browser = new Browser(site);
  const json = { nothing: null, nested: { a: [1, null] }, date: "1970-01-01T00:00:00.000Z", "": "empty" };
  await browser.get("/fill");
  assert.deepEqual(await browser.json("/"), json);
  const [{ data }] = await kept(site);
  assert.deepEqual(data.nothing, { $null: true });
  await browser.get("/delete/nothing");
  const { nothing: _, ...rest } = json;
  assert.deepEqual(await browser.json("/"), rest);
});

test("keys of other platforms that express-session cannot have stay", async (t) => {
  const site = await startSite(t, service, ROUTES, { sessions: tokenSessions });
  const browser = new Browser(site);
  await browser.get("/set/a/1");
  const others = JSON.parse('{"save": 1, "id": 2, "cookie": "choc", "__proto__": {"b": 3}, "constructor": 4}');
  await site.client.set(browser.token("connect.sid"), others);
  assert.deepEqual(await browser.json("/"), { a: "1" });
  await browser.get("/set/b/2");
  await browser.get("/delete/a");
  const [{ data }] = await kept(site);
  const { _cookie, _user_agent, ...shown } = data;
  assert.deepEqual(Object.entries(shown).sort(), Object.entries({ ...others, b: "2" }).sort());
});

test("a session belongs to its user, who can end those of other devices", async (t) => {
  const routes = {
    ...ROUTES,
    "/end-others": async (req, res) => {
      const except = site.store.handle(req.session);
      res.json(await site.client.killsoid(site.store.userOf(req.session), { except }));
    },
  };
  const site = await startSite(t, service, routes, { user });
  const [laptop, phone] = [new Browser(site), new Browser(site)];
  await laptop.get("/login/peter", { "User-Agent": "Firefox" });
  await phone.get("/login/peter", { "User-Agent": "x".repeat(300) });
  const devices = await listed(site.client.soid("peter", { details: true }));
  assert.deepEqual(devices.map(({ ip }) => ip), ["127.0.0.1", "127.0.0.1"]);
  assert.deepEqual(devices.map(({ data }) => data._user_agent.length).sort(), [256, 7]);
  assert.deepEqual(await laptop.json("/"), { userId: "peter" });
  assert.equal(await laptop.json("/end-others"), 1);
  assert.deepEqual(await phone.json("/"), {});
  await laptop.get("/set/a/1");
  const [{ data }] = await kept(site);
  assert.equal(data._user_agent, "Firefox");
});

test("the user is Passport's, text or a number, and known when the session begins", async (t) => {
  const { store, client } = await startSite(t, service, {});
  await store.set("1", { passport: { user: 7 } });
  await store.set("2", {});
  await store.set("2", { passport: { user: 7 } });
  assert.equal((await listed(client.soid("7"))).length, 1);
  await assert.rejects(store.set("3", { passport: { user: { id: 7 } } }), { name: "ConfigurationError" });
});

test("an id may be any text", async (t) => {
  const ids = ["", ".", "..", "a/b", "?", "%2F", "%", "__proto__", "\n", "é".repeat(64), "x".repeat(10_000)];
  ids.push("a".repeat(64), "Z".repeat(64), `Z${"a".repeat(63)}`, "apple");
  const { store } = await startSite(t, service, {});
  for (const id of ids) {
    await store.set(id, { id });
    await store.set(id, { id, again: true });
    assert.deepEqual(await store.get(id), { id, again: true });
  }
  assert.equal(await store.length(), ids.length);
  for (const id of ids) {
    await store.destroy(id);
    await store.set(id, { id });
    assert.equal(await store.get(id), null);
  }
});

test("the service's own tokens are ids too", async (t) => {
  const { store, client } = await startSite(t, service, {});
  const { token } = await client.create({ ip: "192.0.2.7", data: { a: 1 } });
  const session = await store.get(token);
  await store.set(token, { ...session, b: 2 });
  assert.deepEqual((await client.get(token)).data, { a: 1, b: 2 });
  await store.touch(token, { cookie: { originalMaxAge: 60_000 } });
  assert.equal((await client.get(token)).ttl, 60);
  await store.destroy(token);
  assert.equal(await client.get(token), null);
});

test("what the application sets replaces a session, and revives none", async (t) => {
  const { store } = await startSite(t, service, {});
  for (const data of [{ a: 1 }, { b: 2 }, { a: 1 }]) {
    await store.set("id", data);
    assert.deepEqual(await store.get("id"), data);
  }
  const [mine, theirs] = [await store.get("id"), await store.get("id")];
  await store.set("id", Object.assign(mine, { b: 2 }));
  await store.set("id", Object.assign(theirs, { c: 3 }));
  assert.deepEqual(await store.get("id"), { a: 1, b: 2, c: 3 });
  await store.set("copy", mine);
  assert.deepEqual(await store.get("copy"), { a: 1, b: 2 });
  await store.destroy("id");
  for (const session of [mine, { a: 1 }]) await store.set("id", session);
  assert.equal(await store.get("id"), null);
});

test("saves of one session keep their order", async (t) => {
  let delay = 100;
  calls.before = () => new Promise((resolve) => setTimeout(resolve, (delay /= 10)));
  t.after(() => (calls.before = () => {}));
  const twice = (req, res) => {
    req.session.a = (req.session.a ?? 0) + 1;
    req.session.save();
    req.session.a += 10;
    res.end();
  };
  const site = await startSite(t, service, { ...ROUTES, "/twice": twice });
  const browser = new Browser(site);
  await browser.get("/twice");
  assert.deepEqual(await browser.json("/"), { a: 11 });
  delay = 1000;
  await browser.get("/twice");
  assert.deepEqual(await browser.json("/"), { a: 22 });
});

test("the cookie's maxAge is the idle timeout", async (t) => {
  const site = await startSite(t, service, ROUTES, { cookie: { maxAge: 60_500 } });
  const browser = new Browser(site);
  await browser.get("/set/a/1");
  let [session] = await kept(site);
  assert.equal(session.ttl, 61);
  assert.deepEqual(session.data._cookie, { originalMaxAge: 61_000, httpOnly: true, path: "/" });
  calls.take();
  await browser.get("/remember");
  assert.deepEqual(calls.take(), ["get", "set"]);
  [session] = await kept(site);
  assert.equal(session.ttl, MONTH / 1000);
  calls.take();
  for (let i = 0; i < 20; i++) {
    const { originalMaxAge, expires } = await browser.json("/remember");
    assert.ok(originalMaxAge > MONTH - 10 && Math.abs(Date.parse(expires) - Date.now() - MONTH) < 5000);
  }
  assert.deepEqual(new Set(calls.take()), new Set(["get"]));
});

test("a cookie that ends with the browser has the ttl of the store", async (t) => {
  for (const [ttl, expected] of [[undefined, 86_400], [5, 10], [1e9, 34_560_000]]) {
    const site = await startSite(t, service, ROUTES, { ttl });
    await new Browser(site).get("/set/a/1");
    const [session] = await kept(site);
    assert.equal(session.ttl, expected);
    assert.equal(session.data._cookie.originalMaxAge, null);
  }
});

test("a maxAge below ten seconds is kept by the store", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const site = await startSite(t, service, ROUTES, { cookie: { maxAge: 5000 } });
  const browser = new Browser(site);
  await browser.get("/set/a/1");
  t.mock.timers.tick(4000);
  assert.deepEqual(await browser.json("/"), { a: "1" });
  t.mock.timers.tick(4000);
  assert.deepEqual(await browser.json("/"), { a: "1" });
  assert.equal(await site.store.length(), 1);
  t.mock.timers.tick(5001);
  assert.deepEqual(await browser.json("/"), {});
  assert.equal(await site.store.length(), 0);
});

test("a session whose connection stays open goes on when it is saved", async (t) => {
  const { store } = await startSite(t, service, {});
  await store.set("id", { a: 1 });
  const session = await store.get("id");
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  calls.take();
  const save = async (seconds) => {
    t.mock.timers.tick(seconds * 1000);
    await store.set("id", session);
    return calls.take();
  };
  assert.deepEqual([await save(9), await save(9), await save(9), await save(2)], [[], ["touch"], [], ["touch"]]);
});

test("a session that a login closed is shown and not written", async (t) => {
  const site = await startSite(t, service, ROUTES, { sessions: tokenSessions });
  const browser = new Browser(site);
  await browser.get("/set/cart/2");
  await site.client.create({ id: "peter", ip: "192.0.2.7", from: browser.token("connect.sid") });
  calls.take();
  assert.deepEqual(await browser.json("/"), { cart: "2" });
  await browser.get("/set/cart/3");
  assert.deepEqual(calls.take(), ["get", "get"]);
  const [peter, ...others] = await kept(site);
  assert.deepEqual([peter.data.cart, others], ["2", []]);
});

test("all, length and clear", async (t) => {
  const { store } = await startSite(t, service, {});
  for (const id of ["a", "b"]) await store.set(id, { id });
  assert.deepEqual((await store.all()).map(({ id }) => id).sort(), ["a", "b"]);
  assert.equal(await store.length(), 2);
  assert.equal(await store.clear(), undefined);
  assert.deepEqual(await store.all(), []);
});

test("a callback is called once, and what it throws is its own", async (t) => {
  const { store } = await startSite(t, service, {});
  const methods = [["set", "id", { a: 1 }], ["get", "id"], ["touch", "id", {}], ["length"], ["all"], ["destroy", "id"]];
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  for (const [name, ...args] of methods) {
    const thrown = new Error(name);
    const caught = new Promise((resolve) => {
      process.setUncaughtExceptionCaptureCallback(null);
      process.setUncaughtExceptionCaptureCallback(resolve);
    });
    const returned = store[name](...args, () => {
      throw thrown;
    });
    assert.equal(returned, undefined);
    assert.equal(await caught, thrown);
  }
});

test("while the service is away, Express gets the error", async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const site = await startSite(t, { url }, ROUTES);
  const browser = new Browser(site);
  assert.equal((await browser.get("/")).status, 200);
  await assert.rejects(site.store.get("id"), NoAnswer);
  // express-session has begun the response when it saves.
  await browser.get("/set/a/1");
  browser.cookies.set("connect.sid", signedCookie("id"));
  assert.equal((await browser.get("/")).status, 500);
  assert.ok(site.errors.length === 2 && site.errors.every((error) => error instanceof NoAnswer));
  // Nobody takes the promise of this one: it must not end the process.
  site.store.destroy("id");
});

test("a wrong key is no 403 of the browser's", async (t) => {
  const site = await startSite(t, { ...service, key: "the-key-of-another-service-entirely" }, ROUTES);
  const browser = new Browser(site);
  browser.cookies.set("connect.sid", signedCookie("id"));
  assert.equal((await browser.get("/")).status, 500);
  assert.ok(site.errors[0].cause instanceof Forbidden);
});

test("the store takes a client", async () => {
  const client = new Client({ ...service, app: "given" });
  assert.equal(new RestSessionsStore({ client }).client, client);
});
