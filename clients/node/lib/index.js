// A client of REST Sessions, the session store that app servers of any platform share over REST.

export { Client } from "./client.js";
export * from "./errors.js";
