import type { FileObject } from '../batch/api/file-service.ts';
import type { BatchDependencies } from '../batch/queue-trigger.ts';
import { type CallerContext, type HandlerDependencies, routeId } from './request-context.ts';
import { type BodyLimits, readChunks } from './read-body.ts';
import { boundaryOf, invalidForm, readForm } from './upload.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { streamFile } from './file-stream.ts';

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
