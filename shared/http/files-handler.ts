import { createHash, type Hash } from 'node:crypto';
import {
  claimUpload,
  fingerprintOf,
  type IdempotencyDependencies,
  replayOf,
} from './idempotency.ts';
import { startRecording } from './answer-recording.ts';
import { type BodyLimits, readChunks } from './read-body.ts';
import {
  type CallerContext,
  type HandlerDependencies,
  type RequestContext,
  routeId,
} from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { discard } from './sse.ts';
import { boundaryOf, invalidForm, readForm } from './upload.ts';
import type { FileService } from '../batch/api/file-service.ts';
import type { BatchDependencies } from '../batch/queue-trigger.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import { describeError } from '../telemetry/describe-error.ts';

export interface FilesDependencies extends HandlerDependencies, BatchDependencies {
  /** Limits of an upload. */
  readonly uploadBody: BodyLimits;
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
}

interface UploadDependencies extends FilesDependencies, IdempotencyDependencies {}

/** POST /v1/files: the input of a batch, stored while it arrives. */
export async function handleUploadFile(
  context: CallerContext,
  dependencies: UploadDependencies,
): Promise<PlainResponse> {
  const boundary = boundaryOf(context.header('content-type') ?? '');
  const { files } = await dependencies.batch();
  let upload: Upload | undefined;
  try {
    const fields = await readForm(readChunks(context, dependencies.uploadBody), {
      boundary,
      fields: ['purpose'],
      onStart: () => context.markNonJsonBody(),
      async onFile(file) {
        upload = await receiveFile(file, { context, files, dependencies });
      },
    });
    if (upload === undefined) throw invalidForm('file', 'is required');
    if (fields.get('purpose') !== 'batch') throw invalidForm('purpose', 'must be batch');
    return await upload.finish();
  } catch (error) {
    // The file is complete, but the rest of the form is not valid.
    await upload?.discard();
    throw error;
  }
}

/** A file that has arrived whole. */
interface Upload {
  finish(): Promise<PlainResponse>;
  /** Never rejects. */
  discard(): Promise<void>;
}

interface UploadedFile {
  readonly filename?: string | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

interface ReceiveOptions {
  readonly context: CallerContext;
  readonly files: FileService;
  readonly dependencies: UploadDependencies;
}

/**
 * Stores a file. With an `Idempotency-Key` that has an answer, the file is only compared with the
 * first one: its name and its content, for the boundary of the form differs each time.
 * @throws ServiceError idempotency_in_progress
 */
async function receiveFile(
  { filename = 'input.jsonl', chunks }: UploadedFile,
  { context, files, dependencies }: ReceiveOptions,
): Promise<Upload> {
  const { callerId: owner, telemetry } = context;
  const claim = await claimUpload(context, dependencies);
  const hash = createHash('sha256');
  const fingerprint = () => fingerprintOf(context, `${filename}\n${hash.digest('hex')}`);
  async function discardClaim(): Promise<void> {
    await claim?.release().catch(() => undefined);
  }
  try {
    if (claim?.answered !== undefined) {
      const { answered } = claim;
      for await (const chunk of chunks) hash.update(chunk);
      await claim.release();
      const finish = async () => replayOf(answered, fingerprint());
      return { finish, discard: async () => undefined };
    }
    const stored = await files.create({ owner, filename, chunks: hashing(chunks, hash) });
    return {
      async finish() {
        const response = jsonResponse(stored);
        if (claim === undefined) return response;
        await claim.start(fingerprint());
        return startRecording(claim, telemetry).record(response, context.clientDisconnected);
      },
      async discard() {
        await files.remove(stored.id, owner).catch(() => undefined);
        await discardClaim();
      },
    };
  } catch (error) {
    await discardClaim();
    throw error;
  }
}

async function* hashing(
  chunks: AsyncIterable<Uint8Array>,
  hash: Hash,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** GET /v1/files/{id} */
export async function handleGetFile(
  context: CallerContext,
  dependencies: FilesDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { files } = await dependencies.batch();
  return jsonResponse(await files.find(id, context.callerId));
}

/** GET /v1/files/{id}/content */
export async function handleGetFileContent(
  context: CallerContext,
  dependencies: FilesDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { files } = await dependencies.batch();
  const content = await files.content(id, context.callerId);
  const { slowReaderTimeoutMs } = dependencies;
  return streamFile(context, { ...content, slowReaderTimeoutMs });
}

/** DELETE /v1/files/{id} */
export async function handleDeleteFile(
  context: CallerContext,
  dependencies: FilesDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { files } = await dependencies.batch();
  await files.remove(id, context.callerId);
  return jsonResponse({ id, object: 'file', deleted: true });
}

interface StreamedFile {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined while the file still grows. */
  readonly bytes: number | undefined;
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
}

/**
 * Sends a file at the pace of its reader. A failure before the first chunk is an ordinary error. A
 * failure later closes the connection: the partial file must not look complete, and the platform
 * would keep the connection of a failed body open.
 * @throws the error of the first chunk
 */
export async function streamFile(
  context: RequestContext,
  { chunks, bytes, slowReaderTimeoutMs: timeoutMs }: StreamedFile,
): Promise<PlainResponse> {
  const { connection, clientDisconnected: signal, telemetry } = context;
  const iterator = chunks[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  const end = context.startStream();

  async function next(): Promise<IteratorResult<Uint8Array>> {
    if ((await connection?.drained({ signal, timeoutMs })) === 'timeout') throw slowReader();
    const result = first ?? (await iterator.next());
    first = undefined;
    return result;
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await next();
          if (done !== true) return controller.enqueue(value);
          controller.close();
          end();
        } catch (thrown) {
          const { code, cause } = toServiceError(thrown);
          telemetry.error('file stream aborted', { code, cause: describeError(cause) });
          end(code);
          // Without a connection to close, a failed body at least does not look complete.
          if (connection === undefined) return controller.error(thrown);
          connection.cut();
          controller.close();
          discard(iterator);
        }
      },
      cancel() {
        end('client_disconnected');
        discard(iterator);
      },
    },
    { highWaterMark: 0 },
  );
  return {
    status: 200,
    headers: {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      ...(bytes === undefined ? {} : { 'content-length': String(bytes) }),
    },
    body,
  };
}

function slowReader(): ServiceError {
  return new ServiceError('request_timeout', 'Cannot send the file: the client must read it');
}
