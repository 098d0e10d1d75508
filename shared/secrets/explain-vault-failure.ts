import * as z from 'zod';
import { VaultError } from './secret-reader.ts';
import type { VaultTrouble } from './secrets.ts';

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
export function explainVaultFailure(thrown: unknown): 'absent' | 'disabled' | VaultError {
  const { name, code, statusCode, details } = failureSchema.safeParse(thrown).data ?? {};
  if (statusCode === 404 && code === 'SecretNotFound') return 'absent';
  if (UNUSABLE.has(details?.error.innerError.code ?? '')) return 'disabled';
  return new VaultError(troubleOf({ name, statusCode }), { cause: thrown });
}

interface Failure {
  readonly name: string | undefined;
  readonly statusCode: number | undefined;
}

function troubleOf({ name, statusCode }: Failure): VaultTrouble {
  // The identity's own errors carry statuses of the identity endpoint, so they come first.
  if (name !== undefined && /Authentication|Credential/.test(name)) {
    return 'no identity to ask with';
  }
  if (statusCode === undefined) return 'not reachable';
  if (statusCode === 401 || statusCode === 403) return 'access refused';
  return statusCode === 429 ? 'throttled' : 'failing';
}
