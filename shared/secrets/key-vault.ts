import type { TokenCredential } from '@azure/identity';
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import * as z from 'zod';
import { raceAbort } from '../resilience/abort.ts';
import {
  type SecretReader,
  type SecretReadResult,
  VaultError,
  type VaultErrorReason,
} from './secrets.ts';

interface KeyVaultOptions {
  /** Such as https://NAME.vault.azure.net. */
  readonly vaultUrl: string;
  readonly credential: TokenCredential;
  /** Another HTTP client, for tests. */
  readonly httpClient?: SecretClientOptions['httpClient'];
}

/**
 * Reads Azure Key Vault. Loaded by import() only if a vault is configured: the client costs a cold
 * start about 25 ms.
 */
export function createKeyVaultReader(options: KeyVaultOptions): SecretReader {
  const client = new SecretClient(options.vaultUrl, abortableCredential(options.credential), {
    // The refresh schedule decides when to read again.
    retryOptions: { maxRetries: 0 },
    // A vault never redirects, and the token must not follow a redirect.
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
        if (signal.aborted) throw new VaultError('timed out', { cause: thrown });
        const failure = classifyFailure(thrown);
        if (typeof failure === 'string') return missing(failure);
        throw failure;
      }
    },
  };
}

function missing(reason: 'absent' | 'disabled'): SecretReadResult {
  return { kind: 'missing', reason };
}

/**
 * Stops waiting for a token when the caller's signal aborts. The client shares one token request
 * among all reads, so a request without an answer would block every later read.
 */
function abortableCredential(credential: TokenCredential): TokenCredential {
  return {
    getToken(scopes, options) {
      const token = credential.getToken(scopes, options);
      const { abortSignal } = options ?? {};
      if (!(abortSignal instanceof AbortSignal)) return token;
      return raceAbort(token, abortSignal);
    },
  };
}

/** The fields that failures of the client have in common; nothing else is read. */
const failureSchema = z.object({
  name: z.string().optional().catch(undefined),
  code: z.string().optional().catch(undefined),
  statusCode: z.number().optional().catch(undefined),
  details: z
    .object({ error: z.object({ innerError: z.object({ code: z.string() }) }) })
    .optional()
    .catch(undefined),
});

/** Error codes for a secret that exists but must not be used now. */
const DISABLED_CODES = new Set(['SecretDisabled', 'SecretExpired', 'SecretNotYetValid']);

/** Whether a failed read says something about the secret or about the vault. */
function classifyFailure(thrown: unknown): 'absent' | 'disabled' | VaultError {
  const { name, code, statusCode, details } = failureSchema.safeParse(thrown).data ?? {};
  if (statusCode === 404 && code === 'SecretNotFound') return 'absent';
  if (DISABLED_CODES.has(details?.error.innerError.code ?? '')) return 'disabled';
  return new VaultError(vaultErrorReason({ name, statusCode }), { cause: thrown });
}

interface Failure {
  readonly name: string | undefined;
  readonly statusCode: number | undefined;
}

function vaultErrorReason({ name, statusCode }: Failure): VaultErrorReason {
  // Checked first: errors of the credential carry the status of the token endpoint.
  if (name !== undefined && /Authentication|Credential/.test(name)) return 'no access token';
  if (statusCode === undefined) return 'not reachable';
  if (statusCode === 401 || statusCode === 403) return 'access denied';
  return statusCode === 429 ? 'throttled' : 'server error';
}
