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
    const content = preferExtendedFilenames(formContent(body, options), options.boundary);
    await Promise.race([pipeline(content, form), failed.promise]);
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

const LINE_END = '\r\n';
const HEADER_END = '\r\n\r\n';
const EXTENDED_NAME = /;[ \t]*filename\*[ \t]*=/i;
const PLAIN_NAME = /;[ \t]*filename[ \t]*=[ \t]*(?:"(?:[^"\\\r\n]|\\.)*"|[^;\r\n]*)/i;

/**
 * Removes the `filename` of a part that also has a `filename*`, which has all characters of the name
 * and takes precedence (RFC 6266). The parser reads only the first of the two.
 */
async function* preferExtendedFilenames(
  chunks: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<Uint8Array, void, void> {
  const delimiter = Buffer.from(`${LINE_END}--${boundary}${LINE_END}`);
  // The line end before the first delimiter is the start of the form.
  let pending = Buffer.from(LINE_END);
  let missing = LINE_END.length;
  let isHeader = false;

  /** Takes the bytes whose meaning is known; undefined if more have to arrive first. */
  function take(): Buffer | undefined {
    const at = pending.indexOf(isHeader ? HEADER_END : delimiter);
    const isComplete = at !== -1;
    if (isHeader && !isComplete && pending.length <= MAX_HEADER_BYTES) return undefined;
    const keptBytes = isHeader ? 0 : overlapOf(pending, delimiter);
    const end = isComplete
      ? at + (isHeader ? HEADER_END : delimiter).length
      : pending.length - keptBytes;
    if (end === 0) return undefined;
    const taken = pending.subarray(0, end);
    pending = pending.subarray(end);
    const known = isHeader && isComplete ? withoutPlainName(taken) : taken;
    isHeader = isComplete && !isHeader;
    return known;
  }

  for await (const chunk of chunks) {
    pending = Buffer.concat([pending, chunk]);
    for (let known = take(); known !== undefined; known = take()) {
      yield known.subarray(missing);
      missing = 0;
    }
  }
  yield pending.subarray(missing);
}

/** The number of bytes at the end of the content with which a delimiter may begin. */
function overlapOf(content: Buffer, delimiter: Buffer): number {
  for (let bytes = Math.min(content.length, delimiter.length - 1); bytes > 0; bytes -= 1) {
    if (content.subarray(-bytes).equals(delimiter.subarray(0, bytes))) return bytes;
  }
  return 0;
}

function withoutPlainName(header: Buffer): Buffer {
  const text = header.toString('latin1');
  return EXTENDED_NAME.test(text) ? Buffer.from(text.replace(PLAIN_NAME, ''), 'latin1') : header;
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
