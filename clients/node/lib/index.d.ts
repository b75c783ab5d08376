/** Any JSON object. In `set`, null removes a key. */
export type Data = Record<string, unknown>;

/** A session as the API shows it. `data` is empty in an answer without data. */
export interface Session {
  /** The user; undefined in an anonymous session. */
  id?: string;
  /** How often it was read and written. */
  r: number;
  w: number;
  /** The idle timeout, and the time since the use before this one, both in seconds. */
  ttl: number;
  idle: number;
  ip: string;
  data: Record<string, any>;
  /** The session ends `ttl` seconds after its creation; `ttl` is the time that is left. */
  no_resave?: true;
  /** The token is the one before the last rotation: `rotate` gives the new one. */
  rotated?: true;
  /** A login has closed the session. It can still be read for some seconds, and not be changed. */
  closed?: true;
  /** With `details` only. The handle names the session in a page: nobody can use the session with it. */
  handle?: string;
  /** With `details` only: the seconds since the creation. */
  age?: number;
  /** With `details` only: the absolute timeout in seconds, if the session has one. */
  lifetime?: number;
}

/** A new session. console.log does not show the token, and JSON.stringify leaves it out. */
export interface Created {
  readonly token: string;
  /** With `details` only. */
  handle?: string;
  /** With `from` only: 1 if the session took over the data of that of `from`, 0 if that one was missing. */
  from?: number;
  /** With `max` only: how many sessions it ended. */
  kill?: number;
}

/** An app, with how many sessions and users it has. */
export interface App {
  app: string;
  sessions: number;
  users: number;
}

export interface ClientOptions {
  /** Without it, REST_SESSIONS_URL. */
  url?: string;
  /** Without it, REST_SESSIONS_APP. */
  app?: string;
  /** Without it, REST_SESSIONS_KEY. Without either, no key is sent. */
  key?: string;
  /** How many seconds a call may take; 3 unless given. */
  timeout?: number;
}

export interface CreateOptions {
  /** The user. Without it the session is anonymous. */
  id?: string;
  /** The end user's address. */
  ip: string;
  data?: Data;
  /** The idle timeout in seconds. */
  ttl?: number;
  /** The absolute timeout in seconds. */
  lifetime?: number;
  no_resave?: boolean;
  /** A token. The new session takes over the data of its session, which is closed: this is a login. */
  from?: string;
  /** How many seconds the session of `from` can still be read. */
  grace?: number;
  /** The most sessions that the user has afterwards. More end, or with over "refuse" TooManySessions is thrown. */
  max?: number;
  over?: "oldest" | "refuse";
  /** A token of the caller's own. TokenInUse is thrown if a session has or had it. */
  token?: string;
  details?: boolean;
}

interface Listing {
  /** How many are fetched at once. */
  limit?: number;
  /** Where to begin. */
  cursor?: string;
}

/** The operations of the API in one app. A missing session is null. */
export class Client {
  constructor(options?: ClientOptions);

  create(options: CreateOptions): Promise<Created>;
  /** Reads a session. This is a use of it: the idle timeout starts again, unless with `peek`. */
  get(token: string, options?: { peek?: boolean; details?: boolean }): Promise<Session | null>;
  /** Writes the keys of `data`. With `replace` all others go, and with `w` it throws Conflict if others wrote. */
  set(
    token: string,
    data: Data,
    options?: { ttl?: number; replace?: boolean; w?: number; details?: boolean },
  ): Promise<Session | null>;
  /**
   * Changes data that depend on themselves, such as a counter, and loses no write of another.
   *
   * `change` takes the data and returns what `set` is to write. It is called again if somebody else wrote in between.
   * Throws Unavailable if it cannot tell whether it wrote.
   */
  update(token: string, change: (data: Record<string, any>) => Data | Promise<Data>): Promise<Session | null>;
  /** Starts the idle timeout again, or sets a new one. Returns the session without its data. */
  touch(token: string, options?: { ttl?: number; details?: boolean }): Promise<Session | null>;
  /** Gives the session a new token. The old one works until `grace` seconds after the first use of the new one. */
  rotate(token: string, options?: { grace?: number }): Promise<string | null>;
  /** Ends a session. Returns 1, or 0 if there was none. */
  kill(token: string): Promise<number>;
  /** Ends all sessions of a user, or only that with a handle, or all but that with a handle. Returns how many. */
  killsoid(id: string, options?: { handle: string } | { except: string }): Promise<number>;
  /** Ends all sessions of the app. Returns how many. */
  killall(): Promise<number>;
  /** The sessions of a user, most recently used first. */
  soid(id: string, options?: Listing & { details?: boolean }): AsyncGenerator<Session, void, undefined>;
  /** The sessions that were used in the last `dt` seconds, most recently used first. */
  soapp(dt: number, options?: Listing & { details?: boolean }): AsyncGenerator<Session, void, undefined>;
  /** How many users were active in the last `dt` seconds. */
  activity(dt: number): Promise<number>;
  /** The apps that the key may use, by name. */
  apps(options?: Listing): AsyncGenerator<App, void, undefined>;
  /** Returns "PONG" if the service and its store answer. */
  ping(): Promise<string>;
}

/** Base of all errors. Its name is that of the API's error, or if the API has none, of the class. */
export class RestSessionsError extends Error {}
/** An argument or a setting is missing or wrong. */
export class ConfigurationError extends RestSessionsError {}
/** An answer other than 200, or none. */
export class ApiError extends RestSessionsError {
  constructor(message: string, status?: number);
  status?: number;
}
export class BadRequest extends ApiError {}
export class MissingParameter extends BadRequest {}
export class UnknownParameter extends BadRequest {}
export class InvalidFormat extends BadRequest {}
export class InvalidValue extends BadRequest {}
export class InvalidJson extends BadRequest {}
export class Unauthorized extends ApiError {}
export class Forbidden extends ApiError {}
export class SessionNotFound extends ApiError {}
export class Conflict extends ApiError {}
export class TooManySessions extends ApiError {}
export class TokenInUse extends ApiError {}
export class TooLarge extends ApiError {}
export class UnsupportedMediaType extends ApiError {}
export class UnexpectedAnswer extends ApiError {}
/** The service is away for now. The call may have run or not. */
export class Unavailable extends ApiError {
  /** The seconds after which the service asks to be called again. */
  retryAfter?: number;
}
export class TooManyRequests extends Unavailable {}
export class InternalError extends Unavailable {}
export class StoreUnavailable extends Unavailable {}
export class NoAnswer extends Unavailable {}
export class ConnectionLost extends NoAnswer {}
