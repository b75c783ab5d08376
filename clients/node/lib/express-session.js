// Sessions for Express, and whatever else uses express-session.

export { sharedSession } from "./express/shared.js";
export { RestSessionsStore } from "./express/store.js";
export { generateToken } from "./express/tokens.js";
