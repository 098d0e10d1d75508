/** What a client must know of a deployment. */
export interface ClientEnvironment {
  /** The address up to `/v1`. */
  readonly baseURL: string;
  /** The key of the caller, sent as a bearer token. */
  readonly apiKey: string;
  /** The function key. */
  readonly headers: Record<string, string>;
}
