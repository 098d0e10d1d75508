import { RestError } from '@azure/storage-blob';
import { ServiceError } from '../../errors.ts';

/** Codes by which storage says that the container or queue itself is missing, not what is in it. */
const NOT_CONFIGURED = new Set(['ContainerNotFound', 'QueueNotFound', 'ResourceNotFound']);
const ACCESS_DENIED = new Set([401, 403]);
/** Of the answers that blame the request, those that time heals. */
const TRANSIENT = new Set([408, 429]);
/** Classes of @azure/identity. By name: to import it costs a cold start more than all of storage. */
const NO_CREDENTIAL =
  /^(?:Aggregate)?(?:Authentication|CredentialUnavailable|AuthenticationRequired)Error$/;

/**
 * What a call to storage threw, as a caller may see it: nothing of storage's own words is in it,
 * they stay in the cause. A mistake of ours stays what it is.
 */
export function toStorageError(thrown: unknown): unknown {
  if (thrown instanceof ServiceError || isOwnMistake(thrown)) return thrown;
  if (isAccessDenied(thrown)) {
    const wanted = 'the service must be allowed to, and its containers and queues must exist';
    const message = `Cannot use the storage of files and batches: ${wanted}`;
    return new ServiceError('config_unavailable', message, { cause: thrown });
  }
  const message = 'Cannot reach the storage of files and batches: it must answer in time';
  return new ServiceError('storage_unavailable', message, { cause: thrown });
}

/** Whether storage says that there is no such blob, rather than no such container. */
export function isNotFound(thrown: unknown): boolean {
  return statusOf(thrown) === 404 && !NOT_CONFIGURED.has(codeOf(thrown) ?? '');
}

/** The HTTP status of an answer of storage that the client library threw. */
export function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}

/** The word of storage for what happened. An answer without a body has it in its details only. */
export function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { code, details } = thrown as { code?: unknown; details?: unknown };
  if (typeof code === 'string') return code;
  if (typeof details !== 'object' || details === null || !('errorCode' in details))
    return undefined;
  return typeof details.errorCode === 'string' ? details.errorCode : undefined;
}

/** When storage said no, by its own clock. */
export function dateOfFailure(thrown: unknown): Date | undefined {
  const answered = thrown instanceof ServiceError ? thrown.cause : thrown;
  const text = answered instanceof RestError ? answered.response?.headers.get('date') : undefined;
  return text === undefined ? undefined : new Date(text);
}

function isAccessDenied(thrown: unknown): boolean {
  if (thrown instanceof Error && NO_CREDENTIAL.test(thrown.name)) return true;
  return ACCESS_DENIED.has(statusOf(thrown) ?? 0) || NOT_CONFIGURED.has(codeOf(thrown) ?? '');
}

/** A defect, or a request that storage will never accept. */
function isOwnMistake(thrown: unknown): boolean {
  if (isAccessDenied(thrown)) return false;
  if (thrown instanceof TypeError || thrown instanceof RangeError) return true;
  const status = statusOf(thrown) ?? 0;
  return status >= 400 && status < 500 && !TRANSIENT.has(status);
}
