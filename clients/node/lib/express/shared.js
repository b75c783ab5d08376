import { createHmac, randomBytes } from "node:crypto";

import expressSession from "express-session";

import { MAX_TTL } from "./data.js";
import { RestSessionsStore, states } from "./store.js";
import { generateToken, isToken } from "./tokens.js";

/**
 * express-session with the cookie of all other platforms, which is the token as it is.
 *
 * express-session signs its cookie. The token has more random bits than the signature, so signing adds nothing. The
 * incoming token is signed with a secret that only this process has, and the outgoing one loses its signature. A token
 * that the service does not know is never adopted: express-session then makes a new one.
 *
 * The cookie is set when the token changes. It ends with the browser, or with a maxAge never: that ends the session.
 */
export function sharedSession({ name = "session", cookie, store = new RestSessionsStore(), ...options } = {}) {
  const secret = randomBytes(32).toString("hex");
  const middleware = expressSession({
    resave: false,
    saveUninitialized: false,
    ...options,
    name,
    store,
    secret,
    genid: generateToken,
    cookie: typeof cookie === "function" ? cookie : { sameSite: "lax", secure: "auto", ...cookie },
  });
  return (req, res, next) => {
    const { writeHead } = res;
    let sentId;
    // express-session's own, which sets the cookie, comes to wrap this one and runs before it.
    res.writeHead = function (...args) {
      shareCookie(res, req.session, name, sentId);
      return writeHead.apply(this, args);
    };
    const { cookie: header } = req.headers;
    if (header) req.headers.cookie = signed(header, name, secret);
    middleware(req, res, (error) => {
      // The application, and whatever it forwards the request to, gets what the browser sent.
      if (header) req.headers.cookie = header;
      sentId = states.get(req.session)?.id;
      next(error);
    });
  };
}

/** A Cookie header whose session token, if it has one, is signed as express-session does it. */
function signed(header, name, secret) {
  const pairs = header.split(";");
  // Of several with this name express-session takes the first.
  const place = pairs.findIndex((pair) => pair.includes("=") && pair.split("=", 1)[0].trim() === name);
  const token = pairs[place]?.replace(/^[^=]*=/, "").trim();
  if (!isToken(token)) return header;
  const signature = createHmac("sha256", secret).update(token).digest("base64").replace(/=+$/, "");
  pairs[place] = ` ${name}=s:${token}.${signature}`;
  return pairs.join(";");
}

/** Makes the cookie that express-session has set, or has not, what the browser is to have. `sentId` is what it sent. */
function shareCookie(res, session, name, sentId) {
  const { isClosed, newToken, wasLasting } = states.get(session) ?? {};
  const cookies = [res.getHeader("Set-Cookie") ?? []].flat();
  const own = cookies.find((cookie) => cookie.startsWith(`${name}=s%3A`));
  const isKnown = sentId !== undefined && session?.id === sentId;
  // The cookie now outlives the browser, or does so no more. express-session sends it only if the data changed as well.
  const isTurned = isKnown && wasLasting !== undefined && wasLasting !== Boolean(session.cookie.expires);
  const token = newToken ?? (isTurned ? session.id : undefined);
  const shared = token ? session.cookie.serialize(name, token) : own?.replace(/=s%3A([^;]*)\.[^.;]*/, "=$1");
  if (!shared) return;
  const others = cookies.filter((cookie) => cookie !== own);
  // A slow response must not put a token back after a login.
  const isSent = isKnown && !token;
  // As it is not set again, it has to last as long as a session that is in use.
  const end = new Date(Date.now() + MAX_TTL * 1000).toUTCString();
  const lasting = shared.replace(/Expires=[^;]+/, `Expires=${end}`);
  res.setHeader("Set-Cookie", isClosed || isSent ? others : [...others, lasting]);
}
