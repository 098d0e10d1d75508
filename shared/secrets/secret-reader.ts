import type { SecretName, VaultTrouble } from './secrets.ts';

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
  readonly trouble: VaultTrouble;

  constructor(trouble: VaultTrouble, options?: { readonly cause?: unknown }) {
    super(`The vault cannot be read: ${trouble}`, options);
    this.name = 'VaultError';
    this.trouble = trouble;
  }
}
