// Requests to the service: one deadline for a call, and one retry.

import { setTimeout } from "node:timers/promises";

import { errorOf } from "./answers.js";
import { ConfigurationError, ConnectionLost, NoAnswer } from "./errors.js";

const MAX_TIMEOUT = 300;
const LOST = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

export class Service {
  #url;
  #headers;
  #timeout;

  constructor(url, key, timeout) {
    this.#url = checkedUrl(url);
    this.#headers = { "User-Agent": "rest-sessions-client (Node)", "Content-Type": "application/json" };
    if (key) {
      if (!/^[!-~]+$/.test(key)) throw new ConfigurationError("The key has a space, or a character outside ASCII");
      this.#headers.Authorization = `Bearer ${key}`;
    }
    if (!(timeout > 0 && timeout <= MAX_TIMEOUT)) {
      throw new ConfigurationError(`The timeout is in seconds, and at most ${MAX_TIMEOUT}`);
    }
    this.#timeout = timeout * 1000;
  }

  /** The answer with status 200. Sends again, once, if the service asks for that or the connection was lost. */
  async send(method, path, body, mayRepeat) {
    const deadline = performance.now() + this.#timeout;
    const signal = AbortSignal.timeout(this.#timeout);
    try {
      return await this.#request(method, path, body, signal);
    } catch (error) {
      const wait = error.retryAfter * 1000;
      // Without retryAfter this is NaN, and no number is greater.
      if (!mayRepeat || !(deadline > performance.now() + wait)) throw error;
      await setTimeout(wait);
    }
    return this.#request(method, path, body, signal);
  }

  async #request(method, path, body, signal) {
    let answer;
    try {
      // A redirection is no answer of this API, and must not carry the key elsewhere.
      const options = { method, headers: this.#headers, body, signal, redirect: "manual" };
      const response = await fetch(this.#url + path, options);
      const retryAfter = response.headers.get("retry-after");
      answer = { status: response.status, retryAfter, text: await response.text() };
    } catch (error) {
      throw noAnswer(error);
    }
    if (answer.status !== 200) throw errorOf(answer);
    return answer;
  }
}

/** What to throw for an error of fetch, which may hold the path with its token, and quote the headers. */
function noAnswer(error) {
  if (error.name === "TimeoutError") return new NoAnswer("REST Sessions did not answer in time");
  const code = error.cause?.code;
  if (LOST.has(code)) return new ConnectionLost("The connection to REST Sessions was lost before the answer");
  return new NoAnswer(`REST Sessions cannot be reached (${code ?? error.name})`);
}

function checkedUrl(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new ConfigurationError("The URL must have the form https://HOST or http://HOST:PORT");
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new ConfigurationError("The URL must have no user, query or fragment: the key is passed as key");
  }
  return url.href.replace(/\/+$/, "");
}
