// The tokens of sessions whose ids express-session makes.

import { createHash, randomBytes } from "node:crypto";

const TOKEN = /^[A-Za-z0-9]{64}$/;
// The service makes those that begin with Z, and takes no others that do.
const OWN_TOKEN = /^[A-Ya-z0-9][A-Za-z0-9]{63}$/;
const CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Whether a text, from a cookie for example, may be a token. */
export function isToken(text) {
  return TOKEN.test(text);
}

/** A token of the caller's own, for `create` and as express-session's `genid`. */
export function generateToken() {
  return tokenFrom(randomBytes(64));
}

/**
 * The tokens that the session with an id may have. The last is that with which it is created.
 *
 * An id that is a token is used as it is, others by their hash. One that begins with Z is either the service's own, or
 * an id that happens to look like that.
 */
export function tokensOf(id) {
  if (OWN_TOKEN.test(id)) return [id];
  const hashed = tokenFrom(createHash("sha512").update(id).digest());
  return isToken(id) ? [id, hashed] : [hashed];
}

/** 64 random bytes as a token. They are so many that each token is as likely as any other. */
function tokenFrom(bytes) {
  let number = BigInt(`0x${bytes.toString("hex")}`);
  let token = "";
  while (token.length < 64) {
    // Z is the last of the characters.
    const count = BigInt(token ? CHARACTERS.length : CHARACTERS.length - 1);
    token += CHARACTERS[number % count];
    number /= count;
  }
  return token;
}
