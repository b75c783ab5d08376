import expressSession from "express-session";

import { Client } from "../client.js";
import { ConfigurationError, TokenInUse } from "../errors.js";
import { changesOf, COOKIE, isOver, MAX_TTL, MIN_TTL, originOf, restored, storedOf, textsOf, ttlOf } from "./data.js";
import { tokensOf } from "./tokens.js";

const DAY = 86_400;

/**
 * What is known of a session object that was loaded or saved: its `id`, the `token` with which it is called, its `user`
 * and `handle`, the `texts` of its values on the service, `usedAt`, and whether it `isClosed`. `newToken` is that of a
 * session that was rotated. `wasLasting` tells of one that was loaded whether its cookie outlived the browser.
 *
 * It belongs to the object and not to the id, so that each of several parallel requests sends what it has changed.
 */
export const states = new WeakMap();

/** A store for express-session. Parallel requests lose nothing, and a session that ended is never made anew. */
export class RestSessionsStore extends expressSession.Store {
  #user;
  #ttl;
  #turns = new WeakMap();
  // What is being saved, by the session's id.
  #saving = new Map();

  constructor({ client, user = userOfPassport, ttl = DAY, ...options } = {}) {
    super();
    this.client = client ?? new Client(options);
    this.#user = user;
    this.#ttl = ttl;
  }

  get(id, callback) {
    return settled(this.#get(String(id)), callback);
  }

  set(id, session, callback) {
    return settled(this.#set(String(id), session), callback);
  }

  touch(id, session, callback) {
    return settled(this.#touch(String(id), session), callback);
  }

  destroy(id, callback) {
    return settled(this.#destroy(String(id)), callback);
  }

  all(callback) {
    return settled(this.#all(), callback);
  }

  length(callback) {
    return settled(
      this.#all().then((sessions) => sessions.length),
      callback,
    );
  }

  clear(callback) {
    return settled(
      this.client.killall().then(() => undefined),
      callback,
    );
  }

  /** The session's public name, for a page of devices. Undefined if it is not saved yet. */
  handle(session) {
    return states.get(session)?.handle;
  }

  /** The user whose session it is on the service, whichever platform logged the user in. Undefined for a visitor. */
  userOf(session) {
    return states.get(session)?.user;
  }

  /** Called by express-session, to make its session object of what `get` returned. */
  createSession(req, values) {
    const state = states.get(values);
    if (state) values.cookie ??= this.#newCookie(req);
    const session = super.createSession(req, values);
    // Keys that the object cannot have, such as `save`, are not in these texts, and so are not removed.
    const wasLasting = Boolean(session.cookie.expires);
    if (state) states.set(session, { ...state, texts: textsOf(storedOf(session)), wasLasting });
    return session;
  }

  async #get(id) {
    for (const token of tokensOf(id)) {
      const session = await this.client.get(token, { details: true });
      if (session === null) continue;
      const values = restored(session.data);
      if (isOver(values)) return null;
      // The request goes on with the old token: the new one is first used when the browser has it.
      const newToken = session.rotated ? await this.client.rotate(token) : null;
      const { id: user, handle, closed: isClosed = false } = session;
      const texts = textsOf(storedOf(values));
      states.set(values, { id, token, user, handle, isClosed, newToken, texts, usedAt: Date.now() });
      return values;
    }
    return null;
  }

  /** Saves one object after the other, so that an earlier state never overwrites a later one. */
  async #set(id, session) {
    const stored = storedOf(session);
    const ttl = ttlOf(stored, this.#ttl);
    const turn = (this.#turns.get(session) ?? Promise.resolve()).then(() => {
      const state = states.get(session);
      return state?.id === id ? this.#update(state, stored, ttl) : this.#save(id, session, stored, ttl);
    });
    const next = turn.catch(() => {});
    this.#turns.set(session, next);
    const saving = Promise.all([this.#saving.get(id), next]).then(() => {
      if (this.#saving.get(id) === saving) this.#saving.delete(id);
    });
    this.#saving.set(id, saving);
    return turn;
  }

  async #update(state, stored, ttl) {
    if (state.isClosed) return;
    const changes = changesOf(stored, state.texts);
    if (Object.keys(changes).length > 0) {
      const saved = await this.client.set(state.token, changes, { ttl: Object.hasOwn(changes, COOKIE) ? ttl : null });
      if (!saved) process.emitWarning("A session ended during a request, so that its changes are lost");
      state.texts = textsOf(stored);
    } else if (Date.now() - state.usedAt > MIN_TTL * 1000) {
      // A connection that stays open, of a WebSocket for example, saves its session so that it goes on.
      await this.client.touch(state.token);
    } else {
      return;
    }
    state.usedAt = Date.now();
  }

  /** Saves a session that was not loaded. */
  async #save(id, session, stored, ttl) {
    const tokens = tokensOf(id);
    // Not by its class, as there may be a second copy of express-session.
    const isNew = typeof session.regenerate === "function";
    // An object of the application's own most likely replaces a session that is there.
    if (!isNew && (await this.#replace(tokens, stored, ttl))) return;
    const { ip, device } = originOf(session.req);
    const token = tokens.at(-1);
    const data = { ...stored, ...device };
    const user = this.#userToSave(session);
    let handle;
    try {
      ({ handle } = await this.client.create({ id: user, ip, ttl, token, data, details: true }));
    } catch (error) {
      if (!(error instanceof TokenInUse)) throw error;
      // It is not made anew if it was ended.
      await this.#replace(tokens, data, ttl);
    }
    if (!isNew) return;
    const texts = textsOf(stored);
    states.set(session, { id, token, user, handle, isClosed: false, newToken: null, texts, usedAt: Date.now() });
  }

  async #replace(tokens, data, ttl) {
    for (const token of tokens) if (await this.client.set(token, data, { ttl, replace: true })) return true;
    return false;
  }

  async #touch(id, session) {
    // `get` was a use of it.
    if (states.get(session)?.id === id) return this.#set(id, session);
    const ttl = ttlOf(storedOf(session), this.#ttl);
    for (const token of tokensOf(id)) if (await this.client.touch(token, { ttl })) return;
  }

  async #destroy(id) {
    // Else a session that is being created would outlive its logout.
    await this.#saving.get(id);
    for (const token of tokensOf(id)) if (await this.client.kill(token)) return;
  }

  async #all() {
    const sessions = [];
    for await (const { data } of this.client.soapp(MAX_TTL)) {
      const values = restored(data);
      if (!isOver(values)) sessions.push(values);
    }
    return sessions;
  }

  #userToSave(session) {
    const user = this.#user(session);
    if (user == null) return undefined;
    if (typeof user === "object") throw new ConfigurationError("The user is no text or number: pass user, a function");
    return String(user);
  }

  /** The cookie of a new session, for one that another platform began. */
  #newCookie(req) {
    // express-session sets `generate`, which knows the cookie's options. `load` passes no real request.
    if (!this.generate || !req.headers) return new expressSession.Cookie();
    const { sessionID } = req;
    this.generate(req);
    req.sessionID = sessionID;
    return req.session.cookie;
  }
}

function userOfPassport(session) {
  return session.passport?.user;
}

/** Calls the callback, or without one returns the promise, which need not be awaited. */
function settled(promise, callback) {
  if (callback) {
    // As a task of its own, so that what the callback throws is not taken for an error of the store.
    promise.then(
      (result) => setImmediate(callback, null, result),
      (error) => setImmediate(callback, forExpress(error)),
    );
    return undefined;
  }
  promise.catch(() => {});
  return promise;
}

/** Express answers a request with its error's status. That of a wrong key is no 403 of the browser's. */
function forExpress(error) {
  return error.status < 500 ? new Error(error.message, { cause: error }) : error;
}
