import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import {
  storageRefusalOf,
  toStorageError,
} from '../../../../shared/storage/azure/storage-errors.ts';
import { ServiceError } from '../../../../shared/errors.ts';

function named(name: string): Error {
  return Object.assign(new Error('secret'), { name });
}

function answer(statusCode: number, code?: string): RestError {
  return new RestError('secret', { statusCode, ...(code === undefined ? {} : { code }) });
}

/** A response without a body: its code is in a header only. */
function bare(statusCode: number, errorCode: string): RestError {
  return Object.assign(answer(statusCode), { details: { errorCode } });
}

describe('toStorageError', () => {
  it.each([
    ['a connection that failed', new RestError('secret', { code: 'ECONNREFUSED' })],
    ['a call that was aborted', named('AbortError')],
    ['a stream that broke off', Object.assign(new Error('secret'), { code: 'ECONNRESET' })],
    ['throttling', answer(503, 'ServerBusy')],
    ['throttling of an account', answer(429)],
    ['a failure of storage', answer(500, 'InternalError')],
    ['a time limit of storage', answer(408)],
  ])('makes %s an error that a caller may see', (_what, thrown) => {
    const failure = toStorageError(thrown);

    expect(failure).toMatchObject({ code: 'storage_unavailable', cause: thrown });
    expect(String(failure)).not.toContain('secret');
  });

  it.each([
    ['wrong credentials', answer(403, 'AuthenticationFailed')],
    ['no role', answer(403, 'AuthorizationPermissionMismatch')],
    ['a missing container', answer(404, 'ContainerNotFound')],
    ['a missing container that was only looked at', bare(404, 'ContainerNotFound')],
    ['a missing queue', answer(404, 'QueueNotFound')],
    ['no identity', named('CredentialUnavailableError')],
    ['no token', named('AggregateAuthenticationError')],
  ])('distinguishes %s from unavailable storage', (_what, thrown) => {
    expect(toStorageError(thrown)).toMatchObject({ code: 'config_unavailable', cause: thrown });
  });

  it.each([
    ['a request that storage cannot read', answer(400, 'InvalidMetadata')],
    ['a condition that was not met', answer(412, 'ConditionNotMet')],
    ['a lease that another process has', answer(409, 'LeaseAlreadyPresent')],
    ['a blob that is full', answer(409, 'BlockCountExceedsLimit')],
    ['a container that is being deleted', answer(409, 'ContainerBeingDeleted')],
    ['a code that nothing knows yet', answer(409, 'SomethingNew')],
    ['a status that nothing knows yet', answer(418)],
  ])('F15: never makes %s a defect of ours', (_what, thrown) => {
    expect(toStorageError(thrown)).toMatchObject({ code: 'storage_unavailable', cause: thrown });
  });

  it.each([
    ['a defect', new TypeError('secret')],
    ['what has a code already', new ServiceError('invalid_request', 'The form must end')],
  ])('returns %s unchanged', (_what, thrown) => {
    expect(toStorageError(thrown)).toBe(thrown);
  });
});

describe('storageRefusalOf', () => {
  it.each([
    [answer(404, 'BlobNotFound'), 'gone'],
    [answer(404), 'gone'],
    [bare(404, 'ContainerNotFound'), 'operator'],
    [answer(409, 'BlobAlreadyExists'), 'conflict'],
    [answer(412, 'AppendPositionConditionNotMet'), 'conflict'],
    [bare(412, 'LeaseIdMismatchWithBlobOperation'), 'lease'],
    [answer(409, 'LeaseAlreadyPresent'), 'lease'],
    [answer(409, 'BlockCountExceedsLimit'), 'full'],
    [answer(409, 'ContainerBeingDeleted'), 'retry'],
    [answer(400, 'InvalidBlockList'), 'conflict'],
    [answer(400, 'InvalidQueryParameterValue'), 'bug'],
    [new RestError('secret', { code: 'ECONNRESET' }), 'retry'],
  ])('F15: classifies %o as %s, also behind the error for callers', (thrown, refusal) => {
    expect([storageRefusalOf(thrown), storageRefusalOf(toStorageError(thrown))]).toEqual([
      refusal,
      refusal,
    ]);
  });
});
