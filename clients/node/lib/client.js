import { parsed } from "./answers.js";
import { ConfigurationError, Conflict, InvalidFormat, SessionNotFound, Unavailable } from "./errors.js";
import { Service } from "./service.js";

// How often `update` starts again because others wrote in between.
const MAX_ATTEMPTS = 100;
// API Gateway and proxies change a path that contains these, so that two users could become one.
const UNSAFE = /[/?%]|^\.{0,2}$/;

/**
 * The operations of the API in one app. A method has the name of its operation.
 *
 * The last argument of a method holds parameters of the API. What the API does not know it refuses: a misspelt `except`
 * ends nothing.
 */
export class Client {
  // Private, so that neither console.log nor a debugger's dump shows the key.
  #app;
  #service;

  constructor({ url, app, key, timeout = 3 } = {}) {
    this.#app = app || setting("APP");
    this.#service = new Service(url || setting("URL"), key || process.env.REST_SESSIONS_KEY, timeout);
  }

  async create({ id, data, ...query } = {}) {
    const path = id == null ? ["create"] : ["create", id];
    return new Created(await this.#call("PUT", path, query, data));
  }

  get(token, query) {
    return this.#session("GET", ["get", token], query);
  }

  set(token, data, query) {
    return this.#session("POST", ["set", token], query, data, query?.w == null);
  }

  touch(token, query) {
    return this.#session("POST", ["touch", token], query);
  }

  async rotate(token, query) {
    const { token: newToken = null } = await this.#call("POST", ["rotate", token], query);
    return newToken;
  }

  async kill(token) {
    return (await this.#call("DELETE", ["kill", token])).kill;
  }

  async killsoid(id, query = {}) {
    // A handle that is missing by mistake must not end all sessions: the API refuses an empty one.
    const given = Object.fromEntries(Object.entries(query).map(([name, handle]) => [name, handle || ""]));
    return (await this.#call("DELETE", ["killsoid", id], given)).kill;
  }

  async killall() {
    return (await this.#call("DELETE", ["killall"])).kill;
  }

  async *soid(id, query) {
    for await (const answer of this.#items([this.#app, "soid", id], query, "sessions")) yield sessionOf(answer);
  }

  async *soapp(dt, query) {
    const path = [this.#app, "soapp"];
    for await (const answer of this.#items(path, { ...query, dt }, "sessions")) yield sessionOf(answer);
  }

  async activity(dt) {
    return (await this.#call("GET", ["activity"], { dt })).activity;
  }

  apps(query) {
    return this.#items(["apps"], query, "apps");
  }

  async ping() {
    return (await this.#service.send("GET", "/ping", undefined, true)).text;
  }

  async update(token, change) {
    let unsure;
    let w;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const session = await this.get(token, { peek: true });
      if (session === null) return null;
      if (unsure && session.w !== w) throw unsure;
      w = session.w;
      const changes = await change(session.data);
      if (Object.keys(changes ?? {}).length === 0) return session;
      try {
        return await this.set(token, changes, { w });
      } catch (error) {
        if (error instanceof Conflict) {
          // The first try of this write may have come late.
          if (unsure) throw unsure;
        } else if (error instanceof Unavailable && !unsure) {
          unsure = error;
        } else {
          throw error;
        }
      }
    }
    throw new Conflict(`Others wrote in between ${MAX_ATTEMPTS} times`, 409);
  }

  async #session(method, path, query, data, mayRepeat) {
    const answer = await this.#call(method, path, query, data, mayRepeat);
    return Object.keys(answer).length > 0 ? sessionOf(answer) : null;
  }

  async *#items(path, query, name) {
    let cursor = query?.cursor;
    do {
      const page = await this.#send("GET", path, { ...query, cursor });
      yield* page[name];
      cursor = page.next;
    } while (cursor !== undefined);
  }

  #call(method, path, query, data, mayRepeat) {
    return this.#send(method, [this.#app, ...path], query, data, mayRepeat);
  }

  /** Calls a route. A session that is missing is an empty answer. */
  async #send(method, path, query = {}, data = undefined, mayRepeat = true) {
    const url = path.map((segment) => `/${encoded(segment)}`).join("");
    const given = Object.entries(query).filter(([, value]) => value != null && value !== false);
    const parameters = new URLSearchParams(given.map(([name, value]) => [name, value === true ? 1 : value]));
    const search = parameters.size > 0 ? `?${parameters}` : "";
    const body = data == null ? undefined : JSON.stringify(data);
    try {
      return parsed(await this.#service.send(method, url + search, body, mayRepeat));
    } catch (error) {
      if (error instanceof SessionNotFound) return {};
      throw error;
    }
  }
}

/** A new session. Its token is not shown by console.log, nor is it in its JSON. */
class Created {
  #token;

  constructor({ token, ...members }) {
    this.#token = token;
    Object.assign(this, members);
  }

  get token() {
    return this.#token;
  }
}

function sessionOf({ d = {}, ...members }) {
  return { ...members, data: d };
}

function encoded(segment) {
  if (typeof segment !== "string" || UNSAFE.test(segment) || !segment.isWellFormed()) {
    throw new InvalidFormat("An app, id or token must be text, not empty, not only dots, without / ? %", 400);
  }
  return encodeURIComponent(segment);
}

function setting(name) {
  const variable = `REST_SESSIONS_${name}`;
  const value = process.env[variable];
  if (!value) throw new ConfigurationError(`Pass ${name.toLowerCase()}, or set ${variable}`);
  return value;
}
