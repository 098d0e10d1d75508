import type { FileObject } from '../batch/api/file-service.ts';
import { MAX_INPUT_BYTES } from '../batch/planning/plan-input.ts';
import type { BatchDependencies } from '../batch/queue-trigger.ts';
import { ServiceError } from '../errors.ts';
import { type CallerContext, type HandlerDependencies, routeId } from './request-context.ts';
import { boundaryOf, type FormPart, readChunks, readMultipart } from './upload.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { streamFile } from './file-stream.ts';

export interface FilesDependencies extends HandlerDependencies, BatchDependencies {}

/** The form around a file is small. */
const UPLOAD = { maxBytes: MAX_INPUT_BYTES + 65_536, stallMs: 30_000 } as const;
const MAX_FIELD_BYTES = 1_024;
const MAX_PARTS = 16;

/** POST /v1/files: the input of a batch, stored while it comes in. */
export async function handleUploadFile(
  context: CallerContext,
  dependencies: FilesDependencies,
): Promise<PlainResponse> {
  const boundary = boundaryOf(context.header('content-type') ?? '');
  const { files } = await dependencies.batch();
  let stored: FileObject | undefined;
  let purpose: string | undefined;
  let parts = 0;
  try {
    for await (const part of readMultipart(readChunks(context, UPLOAD), boundary)) {
      // The first part shows that this is no JSON, whatever the host made of it.
      if (parts === 0) await context.markNonJsonBody();
      parts += 1;
      if (parts > MAX_PARTS) throw invalidUpload('file', 'the form must have at most 16 parts');
      if (part.name === 'purpose') purpose = await readField(part);
      if (part.name !== 'file') continue;
      if (stored !== undefined) throw invalidUpload('file', 'must be given once');
      const { filename = 'input.jsonl', chunks } = part;
      const owner = context.callerId;
      stored = await files.create({ owner, filename, chunks });
    }
    if (stored === undefined) throw invalidUpload('file', 'is required');
    if (purpose !== 'batch') throw invalidUpload('purpose', 'must be batch');
    return jsonResponse(stored);
  } catch (error) {
    // Only the end of the form tells whether its file is wanted.
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
  return streamFile(context, await files.content(id, context.callerId));
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

async function readField({ name, chunks }: FormPart): Promise<string> {
  const read: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > MAX_FIELD_BYTES)
      throw invalidUpload(name, `must have at most ${MAX_FIELD_BYTES} bytes`);
    read.push(chunk);
  }
  return Buffer.concat(read).toString('utf8');
}

function invalidUpload(param: string, wanted: string): ServiceError {
  const message = `Cannot accept the form: "${param}" ${wanted}`;
  return new ServiceError('invalid_request', message, { param });
}
