"use strict";

// The API, as this tab's key may use it.

/** An answer other than a good one, or none. */
class ApiError extends Error {
  /**
   * @param {object} answer
   * @param {string} answer.message
   * @param {number} [answer.status] 0 without an answer
   * @param {string} [answer.name] the error's name in the API
   * @param {string} [answer.operation] what the key must allow for this call
   */
  constructor({ message, status = 0, name = "", operation = "" }) {
    super(message);
    Object.assign(this, { status, name, operation });
  }

  /** API Gateway itself answers so without a key, or with a wrong one: in JSON, and without a name. */
  get isAboutTheKey() {
    return [401, 403].includes(this.status) && this.name === "" && this.message !== "";
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
 * @param {string} path from `pathTo`
 * @param {object} options
 * @param {string} options.operation what the key must allow
 * @param {string} options.method
 * @param {Record<string, string|number>} options.query
 * @param {AbortSignal[]} [options.signals] each of them ends the call
 * @throws {ApiError} or, after one of the signals, an AbortError
 */
async function call(path, { operation, method, query, signals = [] }) {
  // Each refusal by the API would be a line of the audit log.
  if (operation && !may(operation)) throw new ApiError({ status: 403, name: "forbidden", operation, message: "" });
  const parameters = new URLSearchParams(query).toString();
  let response;
  let text;
  try {
    response = await fetch(parameters ? `${path}?${parameters}` : path, {
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
  const { status } = response;
  let answer;
  try {
    answer = parseExactly(text);
  } catch {
    throw new ApiError({ operation, status: response.ok ? 0 : status, message: "" });
  }
  if (response.ok) return answer;
  throw new ApiError({ operation, status, name: answer.name, message: answer.message ?? "" });
}

const read = (operation, path, query = {}) =>
  call(path, { operation, method: "GET", query, signals: [reading.signal] });

/** Returns how many sessions were ended. */
const end = async (operation, path, query = {}) => (await call(path, { operation, method: "DELETE", query })).kill;

// Longer than any session lives.
const EVER_SECONDS = 40_000_000;

const sessionsPage = (cursor) => (cursor ? { limit: 200, details: 1, cursor } : { limit: 50, details: 1 });

const api = {
  key: () => read("", pathTo("console", "key")),
  apps: (cursor) => read("apps", "apps", cursor && { cursor }),
  activity: async (app, dt) => (await read("activity", pathTo(app, "activity"), { dt })).activity,
  sessionsOfApp: (app, cursor) => read("soapp", pathTo(app, "soapp"), { dt: EVER_SECONDS, ...sessionsPage(cursor) }),
  sessionsOfUser: (app, id, cursor) => read("soid", pathTo(app, "soid", id), sessionsPage(cursor)),
  endSession: (app, id, handle) => end("killsoid", pathTo(app, "killsoid", id), { handle }),
  endOthers: (app, id, handle) => end("killsoid", pathTo(app, "killsoid", id), { except: handle }),
  endAllOfUser: (app, id) => end("killsoid", pathTo(app, "killsoid", id)),
  endAllOfApp: (app) => end("killall", pathTo(app, "killall")),
};
