/** The name of a secret in the vault, such as `openai-api-key`. */
export type SecretName = string;

export type SecretSource = 'key-vault' | 'environment' | 'none';

/** One secret that the product reads. */
export interface RequiredSecret {
  readonly name: SecretName;
  /** The environment variable that stands in where the vault has no usable value. */
  readonly variable?: string | undefined;
}

/** Why the vault could not be asked. Fixed words, safe for anybody. */
export type VaultErrorReason =
  | 'no answer in time'
  | 'not reachable'
  | 'no identity to ask with'
  | 'access refused'
  | 'throttled'
  | 'failing';

/** Why there is no value: a fact about the secret, or trouble with the whole vault. */
export type MissingReason = 'absent' | 'disabled' | 'empty' | 'too large' | VaultErrorReason;

export interface SecretsState {
  /** When the vault last answered for every secret, in milliseconds since the epoch. */
  readonly lastSuccessAt?: number;
  /** What went wrong most recently; kept while the vault is away. */
  readonly lastError?: VaultErrorReason;
  /** The vault does not answer: what is given out is the last known value, if there is one. */
  readonly failing: boolean;
}

/** Secrets of the moment. Nobody keeps a value longer than one call, so that it can change. */
export interface Secrets {
  /** The current value; undefined where it is missing, disabled, empty or unusable. */
  get(name: SecretName): string | undefined;
  sourceOf(name: SecretName): SecretSource;
  /** Why the vault gave no value, or undefined where it did or is not used. */
  whyMissing(name: SecretName): MissingReason | undefined;
  /** Resolves when the first load has ended, well or not; its time is bounded. Never rejects. */
  loaded(): Promise<void>;
  /**
   * Reads again at once, one time for all who ask, after an upstream refused a key.
   * True where a value changed just now, so that another try makes sense.
   */
  refreshNow(): Promise<boolean>;
  /** Tells which values changed. Returns what ends the telling. */
  onChange(listener: (changed: readonly SecretName[]) => void): () => void;
  state(): SecretsState;
  /** Ends the reading in the background. */
  close(): void;
}

/** What a vault says of one secret. */
export type SecretReading =
  | { readonly kind: 'found'; readonly value: string; readonly version: string | undefined }
  | { readonly kind: 'missing'; readonly reason: 'absent' | 'disabled' };

/** The road to a vault: one call for each read, no retries. */
export interface SecretReader {
  /** @throws VaultError where the vault does not say; or the signal's reason. */
  read(name: SecretName, signal: AbortSignal): Promise<SecretReading>;
}

/** The vault gave no answer that says anything about the secret. */
export class VaultError extends Error {
  readonly trouble: VaultErrorReason;

  constructor(trouble: VaultErrorReason, options?: { readonly cause?: unknown }) {
    super(`The vault cannot be read: ${trouble}`, options);
    this.name = 'VaultError';
    this.trouble = trouble;
  }
}
