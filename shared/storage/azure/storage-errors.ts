import { RestError } from '@azure/storage-blob';
import { ServiceError } from '../../errors.ts';

/**
 * What a refusal of storage means for us.
 *
 * - `retry`: the same request may succeed later.
 * - `operator`: a person has to change the account, the containers or the permissions.
 * - `gone`: the blob does not exist.
 * - `conflict`: the condition of a write is not met; a repeat of our own write is one reason.
 * - `lease`: the lease belongs to another process, or has ended. This is not an error.
 * - `full`: the blob takes no further append.
 * - `bug`: storage never accepts this request.
 */
export type StorageRefusal = 'retry' | 'operator' | 'gone' | 'conflict' | 'lease' | 'full' | 'bug';

/** Every code of Azure Storage whose meaning differs from that of its status. */
const REFUSALS: Readonly<Record<string, StorageRefusal>> = {
  AccountBeingCreated: 'retry',
  ContainerBeingDeleted: 'retry',
  ContainerDisabled: 'retry',
  QueueBeingDeleted: 'retry',
  QueueDisabled: 'retry',
  OperationTimedOut: 'retry',
  PendingCopyOperation: 'retry',
  ServerBusy: 'retry',
  InternalError: 'retry',

  AccountIsDisabled: 'operator',
  AccountRequiresHttps: 'operator',
  BlobArchived: 'operator',
  BlobBeingRehydrated: 'operator',
  BlobImmutableDueToPolicy: 'operator',
  ContainerNotFound: 'operator',
  FeatureVersionMismatch: 'operator',
  InvalidAuthenticationInfo: 'operator',
  // The API version of the client library is too new for an emulator.
  InvalidHeaderValue: 'operator',
  QueueNotFound: 'operator',
  ResourceNotFound: 'operator',
  SnapshotsPresent: 'operator',
  UnsupportedHttpVerb: 'operator',

  BlobAlreadyExists: 'conflict',
  ContainerAlreadyExists: 'conflict',
  ResourceAlreadyExists: 'conflict',
  // A commit discards the uncommitted blocks of every other writer of the blob.
  InvalidBlobOrBlock: 'conflict',
  InvalidBlockList: 'conflict',

  LeaseAlreadyBroken: 'lease',
  LeaseAlreadyPresent: 'lease',
  LeaseIdMismatchWithBlobOperation: 'lease',
  LeaseIdMismatchWithLeaseOperation: 'lease',
  LeaseIdMissing: 'lease',
  LeaseIsBreakingAndCannotBeAcquired: 'lease',
  LeaseIsBreakingAndCannotBeChanged: 'lease',
  LeaseIsBrokenAndCannotBeRenewed: 'lease',
  LeaseLost: 'lease',
  LeaseNotPresentWithBlobOperation: 'lease',
  LeaseNotPresentWithLeaseOperation: 'lease',

  BlockCountExceedsLimit: 'full',
  BlockListTooLong: 'full',
  MaxBlobSizeConditionNotMet: 'full',

  InvalidBlobType: 'bug',
};

/** The meaning of a status whose code says no more. */
const REFUSED_STATUS: ReadonlyMap<number, StorageRefusal> = new Map([
  [401, 'operator'],
  [403, 'operator'],
  [404, 'gone'],
  [408, 'retry'],
  // A state of the account, the container or the blob, which may end.
  [409, 'retry'],
  [412, 'conflict'],
  [429, 'retry'],
  [501, 'operator'],
]);

/** Error classes of @azure/identity, matched by name because importing it slows down a cold start. */
const NO_CREDENTIAL =
  /^(?:Aggregate)?(?:Authentication|CredentialUnavailable|AuthenticationRequired)Error$/;

/**
 * What storage meant by what a call threw, also if it was converted to a ServiceError. A call
 * without a response counts as `retry`. Undefined for errors of our own code.
 */
export function storageRefusalOf(thrown: unknown): StorageRefusal | undefined {
  const error = thrown instanceof ServiceError ? (thrown.cause ?? thrown) : thrown;
  if (error instanceof ServiceError) return undefined;
  if (error instanceof TypeError || error instanceof RangeError) return undefined;
  if (error instanceof Error && NO_CREDENTIAL.test(error.name)) return 'operator';
  const known = REFUSALS[codeOf(error) ?? ''];
  if (known !== undefined) return known;
  const status = statusOf(error) ?? 0;
  return REFUSED_STATUS.get(status) ?? (status >= 400 && status < 500 ? 'bug' : 'retry');
}

const MESSAGES = {
  operator:
    'Cannot use the storage of files and batches: the service must be allowed to, and its containers and queues must exist',
  retry: 'Cannot reach the storage of files and batches: it must answer in time',
  other: 'Cannot use the storage of files and batches: it must accept the request',
} as const;

/**
 * Converts what a storage call threw into a ServiceError whose message is safe for callers; the
 * original error becomes its cause. Errors of our own code are returned unchanged.
 */
export function toStorageError(thrown: unknown): unknown {
  if (thrown instanceof ServiceError) return thrown;
  const refusal = storageRefusalOf(thrown);
  if (refusal === undefined) return thrown;
  const code = refusal === 'operator' ? 'config_unavailable' : 'storage_unavailable';
  const message =
    refusal === 'operator' || refusal === 'retry' ? MESSAGES[refusal] : MESSAGES.other;
  return new ServiceError(code, message, { cause: thrown });
}

/** The HTTP status of a storage response that the client library threw. */
function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}

/** The storage error code. A response without a body has it only in its details. */
function codeOf(thrown: unknown): string | undefined {
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
