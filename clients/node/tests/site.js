// An Express app whose sessions the service keeps, a browser, and a record of the operations that the store calls.

import { createHmac } from "node:crypto";
import { once } from "node:events";

import express from "express";
import expressSession from "express-session";
import { RestSessionsStore } from "rest-sessions-client/express-session";

const SECRET = "a secret";
const { fetch } = globalThis;

/** The operations that were called since it was last taken. `before` may delay them. */
export const calls = {
  operations: [],
  before: async () => {},
  take: () => calls.operations.splice(0),
};

globalThis.fetch = async (url, options) => {
  const [, operation] = new URL(url).pathname.slice(1).split("/");
  calls.operations.push(operation);
  await calls.before(operation);
  return fetch(url, options);
};

let sites = 0;

/** Starts a site with these routes. `sessions` makes its middleware; without it, express-session is used as it is. */
export async function startSite(t, service, routes, { sessions = signedSessions, cookie, ...options } = {}) {
  const store = new RestSessionsStore({ ...service, app: `site-${process.pid}-${++sites}`, ...options });
  const errors = [];
  const app = express();
  app.use(sessions({ store, ...(cookie && { cookie }) }));
  for (const [path, handler] of Object.entries(routes)) app.get(path, handler);
  app.use((error, req, res, next) => {
    errors.push(error);
    next(error);
  });
  // Express logs errors to the console unless it runs in a test.
  app.set("env", "test");
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close() && server.closeAllConnections());
  calls.take();
  return { store, errors, client: store.client, url: `http://127.0.0.1:${server.address().port}` };
}

export function signedSessions(options) {
  return expressSession({ secret: SECRET, resave: false, saveUninitialized: false, ...options });
}

/** A cookie as `signedSessions` makes it. */
export function signedCookie(id) {
  const signature = createHmac("sha256", SECRET).update(id).digest("base64").replace(/=+$/, "");
  return encodeURIComponent(`s:${id}.${signature}`);
}

export class Browser {
  cookies = new Map();
  #url;

  constructor({ url }) {
    this.#url = url;
  }

  /** The status, text and cookies of an answer. */
  async get(path, headers = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(this.#url + path, { headers: { ...headers, ...(cookie && { cookie }) } });
    const setCookies = answer.headers.getSetCookie();
    for (const header of setCookies) {
      const [name, value] = header.split(";", 1)[0].split("=");
      this.cookies.set(name, value);
    }
    return { status: answer.status, text: await answer.text(), setCookies };
  }

  /** The session's id in a cookie. */
  token(name) {
    return decodeURIComponent(this.cookies.get(name)).replace(/^s:|\..*/g, "");
  }

  async json(path) {
    return JSON.parse((await this.get(path)).text);
  }
}

/** The session's data. */
export function show(req, res) {
  const { cookie, ...data } = req.session;
  res.json(data);
}

/** Something to wait for, and the function that ends the waiting. */
export function gate() {
  let open;
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
