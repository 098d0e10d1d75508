import type { TokenCredential } from '@azure/identity';
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import * as z from 'zod';
import {
  type SecretReader,
  type SecretReading,
  VaultError,
  type VaultErrorReason,
} from './secrets.ts';

export interface KeyVaultOptions {
  /** Such as https://NAME.vault.azure.net. */
  readonly vaultUrl: string;
  readonly credential: TokenCredential;
  /** The transport, where a test stands in for the network. */
  readonly httpClient?: SecretClientOptions['httpClient'];
}

/**
 * Reads Azure Key Vault. Loaded by import() only where a vault is named: the client and what it
 * brings cost a cold start that other installations should not pay.
 */
export function createKeyVaultReader(options: KeyVaultOptions): SecretReader {
  const client = new SecretClient(options.vaultUrl, abortableCredential(options.credential), {
    // When to try again is decided in one place, and that is not here.
    retryOptions: { maxRetries: 0 },
    // A vault does not redirect, and a token must not follow one that does.
    redirectOptions: { maxRetries: 0 },
    ...(options.httpClient === undefined ? {} : { httpClient: options.httpClient }),
  });
  return {
    read: async (name, signal) => {
      try {
        const { value, properties } = await client.getSecret(name, { abortSignal: signal });
        if (value === undefined || properties.enabled === false) return missing('disabled');
        return { kind: 'found', value, version: properties.version };
      } catch (thrown) {
        if (signal.aborted) throw new VaultError('no answer in time', { cause: thrown });
        const explained = toVaultError(thrown);
        if (typeof explained === 'string') return missing(explained);
        throw explained;
      }
    },
  };
}

function missing(reason: 'absent' | 'disabled'): SecretReading {
  return { kind: 'missing', reason };
}

/**
 * A credential whose callers stop waiting when they said so. The client gives one request for a
 * token to all who need it, so one that hangs would keep every later read waiting with it.
 */
function abortableCredential(credential: TokenCredential): TokenCredential {
  return {
    getToken(scopes, options) {
      const token = credential.getToken(scopes, options);
      const { abortSignal } = options ?? {};
      if (abortSignal === undefined) return token;
      const late = Promise.withResolvers<never>();
      const giveUp = (): void => late.reject(new VaultError('no answer in time'));
      abortSignal.addEventListener('abort', giveUp);
      if (abortSignal.aborted) giveUp();
      return Promise.race([token, late.promise]).finally(() => {
        abortSignal.removeEventListener('abort', giveUp);
      });
    },
  };
}

/** What failures of the client have in common; everything else about them stays unread. */
const failureSchema = z.object({
  name: z.string().optional().catch(undefined),
  code: z.string().optional().catch(undefined),
  statusCode: z.number().optional().catch(undefined),
  details: z
    .object({ error: z.object({ innerError: z.object({ code: z.string() }) }) })
    .optional()
    .catch(undefined),
});

/** Refusals that say something of the secret: it is there, and may not be used now. */
const UNUSABLE = new Set(['SecretDisabled', 'SecretExpired', 'SecretNotYetValid']);

/** A failed read as a fact about the secret, or as trouble with the vault. */
export function toVaultError(thrown: unknown): 'absent' | 'disabled' | VaultError {
  const { name, code, statusCode, details } = failureSchema.safeParse(thrown).data ?? {};
  if (statusCode === 404 && code === 'SecretNotFound') return 'absent';
  if (UNUSABLE.has(details?.error.innerError.code ?? '')) return 'disabled';
  return new VaultError(vaultErrorReason({ name, statusCode }), { cause: thrown });
}

interface Failure {
  readonly name: string | undefined;
  readonly statusCode: number | undefined;
}

function vaultErrorReason({ name, statusCode }: Failure): VaultErrorReason {
  // The identity's own errors carry statuses of the identity endpoint, so they come first.
  if (name !== undefined && /Authentication|Credential/.test(name)) {
    return 'no identity to ask with';
  }
  if (statusCode === undefined) return 'not reachable';
  if (statusCode === 401 || statusCode === 403) return 'access refused';
  return statusCode === 429 ? 'throttled' : 'failing';
}
