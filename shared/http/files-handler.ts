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
import type { FileObject } from '../batch/api/file-service.ts';
import type { BatchDependencies } from '../batch/queue-trigger.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import { describeError } from '../telemetry/describe-error.ts';

export interface FilesDependencies extends HandlerDependencies, BatchDependencies {
  /** Limits of an upload. */
  readonly uploadBody: BodyLimits;
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
}

/** POST /v1/files: the input of a batch, stored while it arrives. */
export async function handleUploadFile(
  context: CallerContext,
  dependencies: FilesDependencies,
): Promise<PlainResponse> {
  const boundary = boundaryOf(context.header('content-type') ?? '');
  const { files } = await dependencies.batch();
  let stored: FileObject | undefined;
  try {
    const fields = await readForm(readChunks(context, dependencies.uploadBody), {
      boundary,
      fields: ['purpose'],
      onStart: () => context.markNonJsonBody(),
      async onFile({ filename = 'input.jsonl', chunks }) {
        stored = await files.create({ owner: context.callerId, filename, chunks });
      },
    });
    if (stored === undefined) throw invalidForm('file', 'is required');
    if (fields.get('purpose') !== 'batch') throw invalidForm('purpose', 'must be batch');
    return jsonResponse(stored);
  } catch (error) {
    // The file is complete, but the rest of the form is not valid.
    if (stored !== undefined)
      await files.remove(stored.id, context.callerId).catch(() => undefined);
    throw error;
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
