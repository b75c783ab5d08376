import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { generateToken, sharedSession } from "rest-sessions-client/express-session";
import { listed, ROOT, startService } from "./service.js";
import { Browser, calls, show, startSite } from "./site.js";

const service = await startService();
after(service.stop);

const ROUTES = {
  "/": show,
  "/set/:key/:value": (req, res) => {
    req.session[req.params.key] = req.params.value;
    res.cookie("other", "s:1.2").end();
  },
  "/remember/:value": (req, res) => {
    req.session.value = req.params.value;
    req.session.cookie.maxAge = 3_600_000;
    res.cookie("other", "s:1.2").end();
  },
  "/login": (req, res, next) => {
    req.session.regenerate((error) => {
      req.session.userId = "peter";
      if (error) next(error);
      else res.end();
    });
  },
  "/login-at-once": (req, res, next) => {
    req.session.regenerate(() => {
      req.session.userId = "peter";
      req.session.save(() => req.session.reload((error) => (error ? next(error) : res.end())));
    });
  },
  "/remember": (req, res) => {
    req.session.cookie.maxAge = 3_600_000;
    res.end();
  },
  "/save-and-destroy": (req, res, next) => {
    req.session.a = 1;
    req.session.save(() => {});
    req.session.destroy((error) => (error ? next(error) : res.end()));
  },
  "/cookie": (req, res) => {
    res.json({ header: req.headers.cookie, session: req.session.cookie, id: req.sessionID });
  },
};
const startShared = (t, options) => startSite(t, service, ROUTES, { sessions: sharedSession, ...options });

/** A browser with a session that another platform began. */
async function visitorOf(site, options) {
  const browser = new Browser(site);
  const { token } = await site.client.create({ ip: "192.0.2.7", ...options });
  browser.cookies.set("session", token);
  calls.take();
  return { browser, token };
}

test("the cookie is the token", async (t) => {
  const site = await startShared(t, { cookie: { maxAge: 60_000 } });
  const browser = new Browser(site);
  const { setCookies } = await browser.get("/set/a/1");
  const token = browser.cookies.get("session");
  assert.match(token, /^[A-Ya-z0-9][A-Za-z0-9]{63}$/);
  const [other, own] = setCookies;
  assert.equal(other, "other=s%3A1.2; Path=/");
  assert.match(own, /^session=\w{64}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/);
  assert.equal((await site.client.get(token)).data.a, "1");
  assert.deepEqual(calls.take(), ["create", "get"]);
  assert.deepEqual(await browser.json("/"), { a: "1" });
  const { header, id } = await browser.json("/cookie");
  assert.equal(header, `other=s%3A1.2; session=${token}`);
  assert.equal(id, token);
});

test("Flask and Express share a session", async (t) => {
  const site = await startShared(t, { app: "shared", user: (session) => session.userId });
  const environment = {
    PYTHONDONTWRITEBYTECODE: "1",
    REST_SESSIONS_URL: service.url,
    REST_SESSIONS_APP: "shared",
    REST_SESSIONS_KEY: service.key,
  };
  const flask = async (cookie, data) => {
    const script = fileURLToPath(new URL("flask_site.py", import.meta.url));
    const args = [script, cookie, JSON.stringify(data)];
    const { stdout } = await promisify(execFile)(`${ROOT}/.venv/clients/bin/python`, args, { env: environment });
    return JSON.parse(stdout);
  };
  const browser = new Browser(site);
  const visitor = await flask("", { cart: [1, 2], nothing: null });
  browser.cookies.set("session", visitor.cookie);
  assert.deepEqual(await browser.json("/"), { cart: [1, 2], nothing: null });
  await browser.get("/set/seen/express");
  const { cookie, data } = await flask(visitor.cookie, { cart: [3] });
  assert.deepEqual(data, { cart: [3], nothing: null, seen: "express" });
  assert.equal(cookie, visitor.cookie);
  assert.deepEqual(await browser.json("/"), data);
  await browser.get("/login");
  const peter = await flask(browser.cookies.get("session"), { by: "flask" });
  assert.equal(peter.data.userId, "peter");
  assert.deepEqual(await browser.json("/"), { userId: "peter", by: "flask" });
});

test("a login gives the browser a new token", async (t) => {
  const site = await startShared(t, { user: (session) => session.userId });
  const { browser, token } = await visitorOf(site);
  await browser.get("/login");
  assert.deepEqual(calls.take(), ["get", "kill", "create"]);
  assert.notEqual(browser.cookies.get("session"), token);
  assert.deepEqual(await browser.json("/"), { userId: "peter" });
  assert.equal((await listed(site.client.soid("peter"))).length, 1);
});

test("a token that nobody made is not adopted", async (t) => {
  const site = await startShared(t);
  for (const planted of [generateToken(), `Z${"a".repeat(63)}`]) {
    const browser = new Browser(site);
    browser.cookies.set("session", planted);
    assert.deepEqual((await browser.get("/")).setCookies, []);
    await browser.get("/set/a/1");
    assert.notEqual(browser.cookies.get("session"), planted);
    assert.deepEqual(await browser.json("/"), { a: "1" });
    assert.equal(await site.client.get(planted), null);
  }
});

test("what is no token is no session, and calls nothing", async (t) => {
  const site = await startShared(t);
  const { token } = await visitorOf(site, { data: { a: 1 } });
  for (const value of ["", "short", `${token}a`, `s:${token}.`, `s%3A${token}.abc`, `"${token}`, `x=${token}`]) {
    const browser = new Browser(site);
    browser.cookies.set("session", value);
    assert.deepEqual(await browser.json("/"), {}, value);
  }
  const browser = new Browser(site);
  browser.cookies.set("xsession", token);
  assert.deepEqual(await browser.json("/"), {});
  assert.deepEqual(calls.take(), []);
});

test("of several cookies the first counts", async (t) => {
  const site = await startShared(t);
  const [{ token: first }, { token: second }] = [
    await visitorOf(site, { data: { first: true } }),
    await visitorOf(site, { data: { second: true } }),
  ];
  const { text } = await new Browser(site).get("/", { cookie: `a=1; session=${first};session=${second}` });
  assert.deepEqual(JSON.parse(text), { first: true });
});

test("a session of another platform has the cookie that a new one would have", async (t) => {
  const site = await startShared(t, { cookie: { maxAge: 60_000, path: "/" } });
  const { browser, token } = await visitorOf(site, { ttl: 1000, data: { cookie: "choc" } });
  const { session } = await browser.json("/cookie");
  const { originalMaxAge, sameSite, secure } = session;
  assert.ok(originalMaxAge > 59_990);
  assert.deepEqual({ sameSite, secure }, { sameSite: "lax", secure: false });
  await browser.get("/set/b/2");
  const { ttl, data } = await site.client.get(token);
  assert.deepEqual({ ttl, data }, { ttl: 1000, data: { cookie: "choc", b: "2" } });
});

test("a rotated token is replaced in the cookie", async (t) => {
  const site = await startShared(t);
  const { browser, token } = await visitorOf(site, { data: { a: 1 } });
  const rotated = await site.client.rotate(token);
  for (const path of ["/", "/set/b/2"]) {
    browser.cookies.set("session", token);
    calls.take();
    const { setCookies } = await browser.get(path);
    assert.deepEqual(calls.take(), path === "/" ? ["get", "rotate"] : ["get", "rotate", "set"]);
    assert.equal(setCookies.at(-1), `session=${rotated}; Path=/; HttpOnly; SameSite=Lax`);
  }
  assert.deepEqual(await browser.json("/"), { a: 1, b: "2" });
  assert.deepEqual(calls.take(), ["get"]);
  assert.deepEqual((await browser.get("/")).setCookies, []);
});

test("the cookie is set when the token changes, and when it is to outlive the browser", async (t) => {
  const site = await startShared(t);
  const browser = new Browser(site);
  const own = async (path) => (await browser.get(path)).setCookies.filter((cookie) => cookie.startsWith("session="));
  assert.doesNotMatch((await own("/set/a/1"))[0], /Expires/);
  assert.deepEqual(await own("/set/b/2"), []);
  const [lasting] = await own("/remember/1");
  const days = (Date.parse(lasting.match(/Expires=([^;]+)/)[1]) - Date.now()) / 86_400_000;
  assert.ok(days > 399.9 && days <= 400, lasting);
  assert.deepEqual(await own("/remember/2"), []);
  assert.equal((await site.client.get(browser.cookies.get("session"))).ttl, 3600);
});

test("a session that a login closed sets no cookie", async (t) => {
  const site = await startShared(t);
  const { browser, token } = await visitorOf(site, { data: { cart: 2 } });
  await site.client.create({ id: "peter", ip: "192.0.2.7", from: token });
  calls.take();
  assert.deepEqual((await browser.get("/remember/1")).setCookies, ["other=s%3A1.2; Path=/"]);
  assert.deepEqual(calls.take(), ["get"]);
  assert.deepEqual(await browser.json("/"), { cart: 2 });
});

test("a login that is saved and loaded again gives the browser its token", async (t) => {
  const site = await startShared(t, { user: (session) => session.userId });
  const { browser, token } = await visitorOf(site);
  await browser.get("/login-at-once");
  assert.notEqual(browser.cookies.get("session"), token);
  assert.deepEqual(await browser.json("/"), { userId: "peter" });
});

test("only the cookie's maxAge may change", async (t) => {
  const site = await startShared(t);
  const browser = new Browser(site);
  await browser.get("/set/a/1");
  const token = browser.cookies.get("session");
  const [cookie] = (await browser.get("/remember")).setCookies;
  assert.match(cookie, new RegExp(`^session=${token}; .*Expires=`));
  assert.equal((await site.client.get(token)).ttl, 3600);
});

test("a session that is being saved does not outlive its end", async (t) => {
  const site = await startShared(t);
  calls.before = (operation) => (operation === "create" ? new Promise((resolve) => setTimeout(resolve, 50)) : undefined);
  t.after(() => {
    calls.before = async () => {};
  });
  await new Browser(site).get("/save-and-destroy");
  assert.deepEqual(await listed(site.client.soapp(60)), []);
});

test("a cookie without a value is not the session's", async (t) => {
  const site = await startShared(t);
  const { browser, token } = await visitorOf(site, { data: { a: 1 } });
  browser.cookies.clear();
  const { text } = await browser.get("/", { cookie: `session; session=${token}` });
  assert.deepEqual(JSON.parse(text), { a: 1 });
});
