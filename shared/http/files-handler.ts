import * as z from 'zod';
import { EXPIRY_SECONDS } from './batches-handler.ts';
import type { IdempotencyDependencies } from './idempotency.ts';
import { receiveFile, type Upload } from './receive-file.ts';
import { type BodyLimits, readChunks } from './read-body.ts';
import {
  assertNoBody,
  type CallerContext,
  type HandlerDependencies,
  type RequestContext,
  routeId,
} from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { discard } from './sse.ts';
import { boundaryOf, invalidForm, readForm } from './upload.ts';
import type { BatchDependencies } from '../batch/queue-trigger.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import { parseRequest } from '../protocols/validation.ts';
import { describeError } from '../telemetry/describe-error.ts';

/** The names that the forms of OpenAI clients have. */
const ANCHOR = 'expires_after[anchor]';
const SECONDS = 'expires_after[seconds]';

export interface FilesDependencies extends HandlerDependencies, BatchDependencies {
  /** Limits of an upload. */
  readonly uploadBody: BodyLimits;
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
}

/** POST /v1/files: the input of a batch, stored while it arrives. */
export async function handleUploadFile(
  context: CallerContext,
  dependencies: FilesDependencies & IdempotencyDependencies,
): Promise<PlainResponse> {
  const boundary = boundaryOf(context.header('content-type') ?? '');
  const { files } = await dependencies.batch();
  let upload: Upload | undefined;
  try {
    const fields = await readForm(readChunks(context, dependencies.uploadBody), {
      boundary,
      fields: ['purpose', ANCHOR, SECONDS],
      onStart: () => context.markNonJsonBody(),
      async onFile(file) {
        upload = await receiveFile(file, { context, files, dependencies });
      },
    });
    if (upload === undefined) throw invalidForm('file', 'is required');
    if (fields.get('purpose') !== 'batch') throw invalidForm('purpose', 'must be batch');
    const seconds = expiryIn(fields);
    await files.removeExpired();
    return await upload.finish(seconds);
  } catch (error) {
    // The file is complete, but the rest of the form is not valid.
    await upload?.discard();
    throw error;
  }
}

/** @throws ServiceError invalid_request */
function expiryIn(fields: ReadonlyMap<string, string>): number | undefined {
  const [anchor, seconds] = [fields.get(ANCHOR), fields.get(SECONDS)];
  if (anchor === undefined && seconds === undefined) return undefined;
  if (anchor !== 'created_at') throw invalidForm(ANCHOR, 'must be created_at');
  const parsed = EXPIRY_SECONDS.safeParse(Number(seconds));
  if (parsed.success) return parsed.data;
  throw invalidForm(SECONDS, 'must be a whole number of seconds from 3600 to 2592000');
}

const listSchema = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(10_000),
  order: z.enum(['asc', 'desc']).default('desc'),
  purpose: z.string().max(64).optional(),
});

/** GET /v1/files */
export async function handleListFiles(
  context: CallerContext,
  dependencies: FilesDependencies,
): Promise<PlainResponse> {
  await assertNoBody(context);
  const { query } = context.request;
  const names = ['after', 'limit', 'order', 'purpose'] as const;
  const given = names.map((name) => [name, query.get(name) ?? undefined]);
  const { after, limit, order, purpose } = parseRequest(listSchema, Object.fromEntries(given));
  const { files: service } = await dependencies.batch();
  await service.removeExpired();
  const page = { after, limit, order, purpose };
  const { files, hasMore } = await service.list(context.callerId, page);
  return jsonResponse({
    object: 'list',
    data: files,
    first_id: files.at(0)?.id ?? null,
    last_id: files.at(-1)?.id ?? null,
    has_more: hasMore,
  });
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
