import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ServiceError } from '../errors.ts';

const BOUNDARY = /^multipart\/form-data *;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;

/** @throws ServiceError unsupported_media_type */
export function boundaryOf(contentType: string): string {
  const [, quoted, plain] = BOUNDARY.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary !== undefined) return boundary;
  throw new ServiceError(
    'unsupported_media_type',
    'Cannot read the body: its Content-Type must be multipart/form-data with a boundary',
  );
}

const MAX_PARTS = 16;
const MAX_FIELD_BYTES = 1_024;
const MAX_HEADER_BYTES = 8_192;

export interface FormOptions {
  readonly boundary: string;
  /** The fields to read; others are ignored. */
  readonly fields: readonly string[];
  /** Called once the body proved to be a form, before any of it is used. */
  readonly onStart: () => Promise<void>;
  /** Stores the part `file`. It must read all chunks; it rejects if the form is cut off. */
  readonly onFile: (file: FormFile) => Promise<void>;
}

interface FormFile {
  readonly filename: string | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Reads a form with one file while it arrives, with only a few chunks in memory. It is strict: no
 * text before the first boundary, and a final boundary. Returns the values of the fields.
 * @throws ServiceError invalid_request, the error of the body, or the error of `onFile`
 */
export async function readForm(
  body: AsyncIterable<Uint8Array>,
  options: FormOptions,
): Promise<ReadonlyMap<string, string>> {
  const form = await createFormParser(options.boundary);
  const values = new Map<string, string>();
  const failed = Promise.withResolvers<never>();
  let formError: ServiceError | undefined;
  let file: { readonly stream: Readable; readonly stored: Promise<void> } | undefined;
  form.on('error', (error) => {
    formError ??= error instanceof ServiceError ? error : malformedForm(error);
  });
  form.on('file', (_name, stream, filename) => {
    stream.on('error', () => undefined);
    const stored = options.onFile({ filename: decodeFilename(filename), chunks: stream });
    stored.catch(failed.reject);
    file = { stream, stored };
  });
  form.on('field', (name, value, ...[, isTruncated]) => {
    if (!options.fields.includes(name)) return;
    if (isTruncated) failed.reject(invalidForm(name, `must have at most ${MAX_FIELD_BYTES} bytes`));
    values.set(name, value);
  });
  form.on('filesLimit', () => failed.reject(invalidForm('file', 'must be given once')));
  form.on('partsLimit', () => {
    failed.reject(invalidForm('file', `the form must have at most ${MAX_PARTS} parts`));
  });
  try {
    await Promise.race([pipeline(formContent(body, options), form), failed.promise]);
    await file?.stored;
    return values;
  } catch (error) {
    const cause = formError ?? error;
    form.destroy();
    file?.stream.destroy(cause instanceof Error ? cause : undefined);
    await file?.stored.catch(() => undefined);
    throw cause;
  }
}

/** The parser is loaded with the first upload, so that a cold start does not pay for it. */
async function createFormParser(boundary: string) {
  // The package is CommonJS: in the bundle it has no other export than the default one.
  const { default: busboy } = await import('@fastify/busboy');
  return new busboy.Busboy({
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
    isPartAFile: (name) => name === 'file',
    preservePath: true,
    limits: {
      files: 1,
      parts: MAX_PARTS,
      fieldSize: MAX_FIELD_BYTES,
      headerSize: MAX_HEADER_BYTES,
    },
  });
}

/** A body that starts with a boundary is not JSON, whatever the platform takes it for. */
async function* formContent(
  body: AsyncIterable<Uint8Array>,
  { boundary, onStart }: FormOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const prefix = Buffer.from(`--${boundary}`);
  let start: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of body) {
    if (start === undefined) {
      yield chunk;
      continue;
    }
    start = Buffer.concat([start, chunk]);
    if (start.length < prefix.length) continue;
    if (!start.subarray(0, prefix.length).equals(prefix)) throw malformedForm();
    await onStart();
    yield start;
    start = undefined;
  }
  if (start !== undefined) throw malformedForm();
}

/** Browsers write quotes and line ends of a name as percent signs and digits. */
function decodeFilename(filename: string | undefined): string | undefined {
  return filename?.replaceAll(/%0D|%0A|%22/gi, decodeURIComponent);
}

export function invalidForm(param: string, expected: string): ServiceError {
  const message = `Cannot accept the form: "${param}" ${expected}`;
  return new ServiceError('invalid_request', message, { param });
}

function malformedForm(cause?: unknown): ServiceError {
  return new ServiceError(
    'invalid_request',
    'Cannot read the form: it must be complete multipart/form-data',
    { cause },
  );
}
