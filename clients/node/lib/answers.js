// What an answer of the service means.

import * as errors from "./errors.js";

const OF_NAME = new Map(
  Object.values(errors)
    .filter(({ prototype }) => prototype instanceof errors.ApiError && Object.hasOwn(prototype, "name"))
    .map((kind) => [kind.prototype.name, kind]),
);
// What API Gateway answers by itself has no name.
const OF_STATUS = new Map([
  [401, [errors.Unauthorized, "The service requires a key: pass key, or set REST_SESSIONS_KEY"]],
  [403, [errors.Forbidden, "The service does not know this key"]],
  [429, [errors.TooManyRequests, "The service is throttled"]],
]);

/** The error that an answer other than 200 tells. Only texts of this API and of this module get into its message. */
export function errorOf({ status, text, retryAfter }) {
  const error = namedError(status, text) ?? otherError(status);
  if (error instanceof errors.Unavailable && /^\d+$/.test(retryAfter ?? "")) error.retryAfter = Number(retryAfter);
  return error;
}

/** The JSON object that an answer with status 200 holds. */
export function parsed({ status, text }) {
  const answer = objectIn(text);
  if (answer) return answer;
  throw new errors.UnexpectedAnswer("Not a REST Sessions API, whose answers are JSON objects: check the URL", status);
}

function namedError(status, text) {
  const { name, message } = objectIn(text) ?? {};
  const Kind = OF_NAME.get(name);
  return Kind && typeof message === "string" ? new Kind(message, status) : undefined;
}

function otherError(status) {
  if (OF_STATUS.has(status)) {
    const [Kind, message] = OF_STATUS.get(status);
    return new Kind(message, status);
  }
  if (status >= 500) return new errors.Unavailable(`The service failed with status ${status}`, status);
  return new errors.UnexpectedAnswer(
    `No REST Sessions API: it answered with status ${status}. Check the URL`,
    status,
  );
}

function objectIn(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
