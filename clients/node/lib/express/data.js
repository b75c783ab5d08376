// What the service keeps of a session of express-session, and what of it has changed.

export const MIN_TTL = 10;
// 400 days: the most that browsers keep a cookie, and that the API takes.
export const MAX_TTL = 34_560_000;
// In place of an address that is not known. The API requires one.
const UNKNOWN_IP = "unknown";
const MAX_IP = 45;
// The browser's user agent is kept with the session's data, for a page of devices. The application does not see it.
const USER_AGENT = "_user_agent";
const MAX_USER_AGENT = 256;
// The cookie's settings. Under `cookie` another platform may have data of its own, which express-session cannot show.
export const COOKIE = "_cookie";

/**
 * The session's data as the API keeps it: what JSON can hold. The API removes a key whose value is null, so that a null
 * which is to stay is an object.
 */
export function storedOf(session) {
  const { cookie, [COOKIE]: _, [USER_AGENT]: __, ...values } = JSON.parse(JSON.stringify(session));
  const entries = Object.entries(values).map(([key, value]) => [key, value === null ? { $null: true } : value]);
  // From entries, as an assignment to __proto__ would not make a key.
  return Object.fromEntries(cookie ? [...entries, [COOKIE, storedCookie(cookie)]] : entries);
}

/** The session as express-session takes it, for the data that the API keeps. */
export function restored(data) {
  const { cookie: _, [COOKIE]: cookie, [USER_AGENT]: __, ...values } = data;
  const entries = Object.entries(values).map(([key, value]) => [key, isNull(value) ? null : value]);
  return Object.fromEntries(cookie ? [...entries, ["cookie", restoredCookie(cookie)]] : entries);
}

/** The JSON of each value that is stored, to compare with later. */
export function textsOf(stored) {
  return new Map(Object.entries(stored).map(([key, value]) => [key, JSON.stringify(value)]));
}

/** The values that differ from the texts, and null for each key that is gone. */
export function changesOf(stored, texts) {
  const changed = Object.entries(stored).filter(([key, value]) => JSON.stringify(value) !== texts.get(key));
  const gone = [...texts.keys()].filter((key) => !Object.hasOwn(stored, key)).map((key) => [key, null]);
  return Object.fromEntries([...changed, ...gone]);
}

/** The idle timeout in seconds: the cookie's maxAge, or if the cookie ends with the browser, the fallback. */
export function ttlOf({ [COOKIE]: cookie = {} }, fallback) {
  return Math.min(Math.max(secondsOf(cookie) ?? fallback, MIN_TTL), MAX_TTL);
}

/** Whether a session is over that the service still has, because its maxAge is below ten seconds. */
export function isOver({ cookie }) {
  return Boolean(cookie?.expires) && cookie.expires <= new Date();
}

/** What is kept of the request that begins a session. */
export function originOf(req) {
  const agent = req?.headers?.["user-agent"];
  return {
    ip: String(req?.ip || req?.socket?.remoteAddress || UNKNOWN_IP).slice(0, MAX_IP),
    device: agent ? { [USER_AGENT]: agent.slice(0, MAX_USER_AGENT) } : {},
  };
}

/**
 * A cookie whose maxAge is in whole seconds, as express-session loses a millisecond now and then. Its `expires` moves
 * with each request, and so is kept only where the service's idle timeout is too long.
 */
function storedCookie({ expires, ...cookie }) {
  const seconds = secondsOf({ ...cookie, expires });
  if (seconds === undefined) return cookie;
  return seconds < MIN_TTL ? { ...cookie, expires } : { ...cookie, originalMaxAge: seconds * 1000 };
}

function restoredCookie(cookie) {
  const { expires, originalMaxAge } = cookie;
  if (expires) return { ...cookie, expires: new Date(expires) };
  return typeof originalMaxAge === "number" ? { ...cookie, expires: new Date(Date.now() + originalMaxAge) } : cookie;
}

function secondsOf({ originalMaxAge, expires }) {
  const milliseconds = typeof originalMaxAge === "number" ? originalMaxAge : Date.parse(expires) - Date.now();
  return Number.isNaN(milliseconds) ? undefined : Math.ceil(milliseconds / 1000);
}

function isNull(value) {
  return value?.$null === true && Object.keys(value).length === 1;
}
