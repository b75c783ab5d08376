import session, { SessionData, SessionOptions, Store } from "express-session";

import { Client, ClientOptions } from "./index.js";

export interface StoreOptions extends ClientOptions {
  /** In place of url, app, key and timeout. */
  client?: Client;
  /** The user of a session, who is its user on the service from its first save on; without it, Passport's. */
  user?: (session: Partial<SessionData>) => string | number | null | undefined;
  /** The idle timeout in seconds of a session whose cookie ends with the browser; a day unless given. */
  ttl?: number;
}

type Callback<T = void> = (error?: any, result?: T) => void;

/** A store for express-session. Its methods return promises if they get no callback. */
export class RestSessionsStore extends Store {
  constructor(options?: StoreOptions);
  readonly client: Client;
  /** The user whose session it is on the service, whichever platform logged the user in. Undefined for a visitor. */
  userOf(session: Partial<SessionData>): string | undefined;
  /** The session's public name, for a page of devices. Undefined if it is not saved yet. */
  handle(session: object): string | undefined;

  get(id: string): Promise<SessionData | null>;
  get(id: string, callback: Callback<SessionData | null>): void;
  set(id: string, session: SessionData): Promise<void>;
  set(id: string, session: SessionData, callback?: Callback): void;
  touch(id: string, session: SessionData): Promise<void>;
  touch(id: string, session: SessionData, callback?: Callback): void;
  destroy(id: string): Promise<void>;
  destroy(id: string, callback?: Callback): void;
  /** The data of all sessions. Their ids are not known to the service. */
  all(): Promise<SessionData[]>;
  all(callback: Callback<SessionData[]>): void;
  length(): Promise<number>;
  length(callback: Callback<number>): void;
  /** Ends all sessions of the app, also those of other platforms. */
  clear(): Promise<void>;
  clear(callback?: Callback): void;
}

/**
 * express-session whose cookie all platforms share. It needs no secret.
 *
 * The cookie is set when the token changes. It ends with the browser, or with a maxAge never: that ends the session.
 */
export function sharedSession(options?: Partial<Omit<SessionOptions, "secret" | "genid">>): ReturnType<typeof session>;

/** An id for express-session's `genid` that is the session's token. */
export function generateToken(): string;
