"use strict";

// The API, as this page's key may use it.

/** An answer other than 200, or none. `operation` is what the key would have to allow. */
class ApiError extends Error {
  /** @param {{status?: number, name?: string, operation?: string, message: string}} of `status` is 0 without an answer. */
  constructor({ status = 0, name = "", operation = "", message }) {
    super(message);
    Object.assign(this, { status, name, operation });
  }

  /** The gateway itself answers so without a key, or with a wrong one. Its answers have no name. */
  get isAboutTheKey() {
    return this.status === 401 || (this.status === 403 && !this.name);
  }
}

const key = {
  // A tab has a storage of its own, which ends with it.
  get: () => sessionStorage.getItem("key"),
  set: (text) => sessionStorage.setItem("key", text),
  forget: () => sessionStorage.removeItem("key"),
};

const ANSWER_MILLISECONDS = 30_000;

/** A path of the API, relative to this page's: the API may be served below another path. */
const pathTo = (...parts) => parts.map(encodeURIComponent).join("/");

// Ends what is read for the view that is shown.
let reading = new AbortController();

/** Ends the requests of the view that is left: their answers would come into the next one. */
function stopReading() {
  reading.abort();
  reading = new AbortController();
}

/**
 * Calls a route. Returns its answer.
 * @param {string} operation what the key must allow
 * @param {string} path from `pathTo`
 * @param {Record<string, string|number|undefined>} query
 * @throws {ApiError} or an AbortError after `stopReading`
 */
async function call(operation, path, query, method, signals) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  let response;
  let text;
  try {
    response = await fetch(given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path, {
      method,
      headers: key.get() ? { Authorization: `Bearer ${key.get()}` } : {},
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.any([AbortSignal.timeout(ANSWER_MILLISECONDS), ...signals]),
    });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ operation, message: error.message });
  }
  if (response.ok) return parseExactly(text);
  throw new ApiError({ status: response.status, operation, ...errorOf(text) });
}

/** The name and message in an error's body. A proxy's own error page has neither. */
function errorOf(text) {
  try {
    const { name, message } = JSON.parse(text);
    return { name, message: message ?? "" };
  } catch {
    return { message: "" };
  }
}

const read = (operation, path, query = {}) => call(operation, path, query, "GET", [reading.signal]);

/** Returns how many sessions were ended. */
const end = async (operation, path, query = {}) => (await call(operation, path, query, "DELETE", [])).kill;

// Longer than any session lives.
const EVER_SECONDS = 40_000_000;
const PAGE = 50;

const api = {
  key: () => read("", pathTo("console", "key")),
  apps: (cursor) => read("apps", "apps", { cursor }),
  activity: async (app, dt) => (await read("activity", pathTo(app, "activity"), { dt })).activity,
  sessionsOfApp: (app, cursor) =>
    read("soapp", pathTo(app, "soapp"), { dt: EVER_SECONDS, limit: PAGE, details: 1, cursor }),
  sessionsOfUser: (app, id, cursor) => read("soid", pathTo(app, "soid", id), { limit: PAGE, details: 1, cursor }),
  endSession: (app, id, handle) => end("killsoid", pathTo(app, "killsoid", id), { handle }),
  endOthers: (app, id, handle) => end("killsoid", pathTo(app, "killsoid", id), { except: handle }),
  endAllOfUser: (app, id) => end("killsoid", pathTo(app, "killsoid", id)),
  endAllOfApp: (app) => end("killall", pathTo(app, "killall")),
};
