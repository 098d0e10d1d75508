/** What a client must know of a deployment. */
export interface ClientEnvironment {
  /** The address up to `/v1`. */
  readonly baseURL: string;
  /** The key of the caller, sent as a bearer token. */
  readonly apiKey: string;
  /** The key of a caller whose limit of requests a test may use up. */
  readonly limitedKey: string;
  /** The connection string of the storage account. */
  readonly storage: string;
  /** The function key. */
  readonly headers: Record<string, string>;
}
