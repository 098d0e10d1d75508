/** The name of a secret in the vault, such as `openai-api-key`. */
export type SecretName = string;

export type SecretSource = 'key-vault' | 'environment' | 'none';

/** One secret that the product reads. */
export interface RequiredSecret {
  readonly name: SecretName;
  /** The environment variable that is used if the vault has no usable value. */
  readonly variable?: string | undefined;
  /** Whether the product can use a value of the vault; if undefined, it can use any. */
  readonly accepts?: ((value: string) => boolean) | undefined;
}

/** Why the vault could not be read. Fixed text, safe to show to any caller. */
export type VaultErrorReason =
  | 'timed out'
  | 'not reachable'
  | 'no access token'
  | 'access denied'
  | 'throttled'
  | 'server error';

/** Why there is no value: a property of the secret, or a failure of the vault. */
export type MissingReason = 'absent' | 'disabled' | UnusableReason | VaultErrorReason;

/** Why the content of a secret cannot be used. */
export type UnusableReason = 'empty' | 'too large' | 'not valid';

export interface SecretsState {
  /** When the vault last answered for every secret, in milliseconds since the epoch. */
  readonly lastSuccessAt?: number;
  /** The most recent failure, until the vault recovers. */
  readonly lastError?: VaultErrorReason;
  /** The vault cannot be read: `get` returns the last known values. */
  readonly isFailing: boolean;
}

/** The current secrets. Callers read a value for each use, so that it can be rotated. */
export interface Secrets {
  /** The last usable value; undefined if there was none, or the secret is absent or disabled now. */
  get(name: SecretName): string | undefined;
  sourceOf(name: SecretName): SecretSource;
  /** Why the vault has no value; undefined if it has one or is not used. */
  missingReason(name: SecretName): MissingReason | undefined;
  /** Resolves when the first load has ended, successfully or not, within its time limit. Never rejects. */
  loaded(): Promise<void>;
  /**
   * Reads again at once after an endpoint refused a key; concurrent calls share one read.
   * Resolves to true if a value changed recently, so that a retry makes sense.
   */
  refreshNow(): Promise<boolean>;
  /** Calls the listener with the names of changed secrets. Returns a function that unsubscribes. */
  onChange(listener: SecretsListener): () => void;
  state(): SecretsState;
  /** Stops the background refresh. */
  close(): void;
}

export type SecretsListener = (changed: readonly SecretName[]) => void;

/** The result of reading one secret. */
export type SecretReadResult =
  | { readonly kind: 'found'; readonly value: string; readonly version: string | undefined }
  | { readonly kind: 'missing'; readonly reason: 'absent' | 'disabled' };

/** Access to a vault: one request for each read, no retries. */
export interface SecretReader {
  /** @throws VaultError if the vault cannot be read, or the signal's reason */
  read(name: SecretName, signal: AbortSignal): Promise<SecretReadResult>;
}

/** The vault could not be read, which says nothing about the secret. */
export class VaultError extends Error {
  readonly reason: VaultErrorReason;

  constructor(reason: VaultErrorReason, options?: { readonly cause?: unknown }) {
    super(`The vault cannot be read: ${reason}`, options);
    this.name = 'VaultError';
    this.reason = reason;
  }
}

export interface EnvironmentSecretsOptions {
  readonly required: readonly RequiredSecret[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Secrets from the environment, for deployments without a vault. They never change. */
export function createEnvironmentSecrets(options: EnvironmentSecretsOptions): Secrets {
  const values = readEnvironmentSecrets(options);
  return {
    get: (name) => values.get(name),
    sourceOf: (name) => (values.has(name) ? 'environment' : 'none'),
    missingReason: () => undefined,
    loaded: async () => undefined,
    refreshNow: async () => false,
    onChange: () => () => undefined,
    state: () => ({ isFailing: false }),
    close: () => undefined,
  };
}

/** The usable values of the environment variables, by secret name. */
export function readEnvironmentSecrets({
  required,
  environment,
}: EnvironmentSecretsOptions): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const { name, variable } of required) {
    const { value } = normalizeSecret(variable === undefined ? undefined : environment[variable]);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** A vault stores at most 25 kB; keys and addresses are much shorter. */
const MAX_SECRET_BYTES = 24 * 1024;

export type NormalizedSecret =
  | { readonly value: string }
  | { readonly value: undefined; readonly reason: UnusableReason };

/**
 * Trims a value: files and portals add line ends, which HTTP headers must not contain. An empty
 * result counts as missing.
 */
export function normalizeSecret(raw: string | undefined): NormalizedSecret {
  const value = raw?.trim() ?? '';
  if (value === '') return { value: undefined, reason: 'empty' };
  if (Buffer.byteLength(value) > MAX_SECRET_BYTES) return { value: undefined, reason: 'too large' };
  return { value };
}
