import { RestError } from '@azure/storage-blob';
import { ServiceError } from '../../errors.ts';

/** Storage error codes that mean the container or queue itself is missing, not a blob in it. */
const NOT_CONFIGURED = new Set(['ContainerNotFound', 'QueueNotFound', 'ResourceNotFound']);
const ACCESS_DENIED = new Set([401, 403]);
/** 4xx statuses that a later attempt can resolve. */
const TRANSIENT = new Set([408, 429]);
/** Error classes of @azure/identity, matched by name because importing it slows down a cold start. */
const NO_CREDENTIAL =
  /^(?:Aggregate)?(?:Authentication|CredentialUnavailable|AuthenticationRequired)Error$/;

/**
 * Converts what a storage call threw into a ServiceError whose message is safe for callers; the
 * original error becomes its cause. Errors of our own code are returned unchanged.
 */
export function toStorageError(thrown: unknown): unknown {
  if (thrown instanceof ServiceError || isOwnMistake(thrown)) return thrown;
  if (isAccessDenied(thrown)) {
    const expected = 'the service must be allowed to, and its containers and queues must exist';
    const message = `Cannot use the storage of files and batches: ${expected}`;
    return new ServiceError('config_unavailable', message, { cause: thrown });
  }
  const message = 'Cannot reach the storage of files and batches: it must answer in time';
  return new ServiceError('storage_unavailable', message, { cause: thrown });
}

/** Whether the blob is missing, as opposed to its container. */
export function isNotFound(thrown: unknown): boolean {
  return statusOf(thrown) === 404 && !NOT_CONFIGURED.has(codeOf(thrown) ?? '');
}

/** The HTTP status of a storage response that the client library threw. */
export function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}

/** The storage error code. A response without a body has it only in its details. */
export function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { code, details } = thrown as { code?: unknown; details?: unknown };
  if (typeof code === 'string') return code;
  if (typeof details !== 'object' || details === null || !('errorCode' in details))
    return undefined;
  return typeof details.errorCode === 'string' ? details.errorCode : undefined;
}

/** The server date of an error response. */
export function dateOfFailure(thrown: unknown): Date | undefined {
  const response = thrown instanceof ServiceError ? thrown.cause : thrown;
  const text = response instanceof RestError ? response.response?.headers.get('date') : undefined;
  return text === undefined ? undefined : new Date(text);
}

function isAccessDenied(thrown: unknown): boolean {
  if (thrown instanceof Error && NO_CREDENTIAL.test(thrown.name)) return true;
  return ACCESS_DENIED.has(statusOf(thrown) ?? 0) || NOT_CONFIGURED.has(codeOf(thrown) ?? '');
}

/** A defect of ours, or a request that storage will never accept. */
function isOwnMistake(thrown: unknown): boolean {
  if (isAccessDenied(thrown)) return false;
  if (thrown instanceof TypeError || thrown instanceof RangeError) return true;
  const status = statusOf(thrown) ?? 0;
  return status >= 400 && status < 500 && !TRANSIENT.has(status);
}
