import { ServiceError } from '../errors.ts';
import type { RequestContext } from './request-context.ts';

/** One field of a form. Its content must be read to the end before the next part is asked for. */
export interface FormPart {
  readonly name: string;
  readonly filename: string | undefined;
  readonly chunks: AsyncGenerator<Uint8Array, void, void>;
}

const BOUNDARY = /^multipart\/form-data *;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;
const DISPOSITION = /^content-disposition *: *form-data *;(.*)$/im;
const MAX_HEADER_BYTES = 8_192;
const CRLF = Buffer.from('\r\n');
const END_OF_HEADERS = Buffer.from('\r\n\r\n');

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

/**
 * The parts of a form as they come in, with no more than a chunk in memory. Strict: nothing before
 * the first boundary, and an end that says that it is the end.
 * @throws ServiceError invalid_request
 */
export async function* readMultipart(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<FormPart, void, void> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const input = createInput(body);
  // The first delimiter has no line before it whose end it could begin with.
  input.prepend(CRLF);
  if ((await input.take(delimiter.length))?.equals(delimiter) !== true) throw malformedUpload();
  for (;;) {
    const mark = (await input.take(2))?.toString('latin1');
    if (mark === '--') return;
    if (mark !== '\r\n') throw malformedUpload();
    // A part without headers would be one without a name.
    const headers = await input.takeUntil(END_OF_HEADERS, MAX_HEADER_BYTES);
    const chunks = contentOf(input, delimiter);
    yield { ...readHeaders(headers), chunks };
    // Whoever did not want the content has to get past it all the same.
    for await (const _rest of chunks);
  }
}

/** What comes before the delimiter, which is taken out too. */
async function* contentOf(input: Input, delimiter: Buffer): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const held = input.held();
    const at = held.indexOf(delimiter);
    if (at !== -1) {
      if (at > 0) yield held.subarray(0, at);
      input.skip(at + delimiter.length);
      return;
    }
    // The beginning of a delimiter may stand at the end of what is here.
    const safe = held.length - delimiter.length + 1;
    if (safe > 0) {
      input.skip(safe);
      yield held.subarray(0, safe);
    }
    if (!(await input.more())) throw malformedUpload();
  }
}

function readHeaders(bytes: Buffer): { name: string; filename: string | undefined } {
  const parameters = DISPOSITION.exec(bytes.toString('utf8'))?.[1] ?? '';
  const name = parameterOf(parameters, 'name');
  if (name === undefined) throw malformedUpload();
  return { name, filename: parameterOf(parameters, 'filename') };
}

/** A value in quotes, as browsers write it, or a plain word, as .NET does. */
function parameterOf(parameters: string, name: string): string | undefined {
  const value = '(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s";]+))';
  const found = new RegExp(`(?:^|;)\\s*${name}=${value}`, 'i').exec(parameters);
  // Quotes and line ends are percent signs and digits, or follow a backslash.
  const quoted = found?.[1]?.replaceAll(/\\(.)/g, '$1');
  return (quoted ?? found?.[2])?.replaceAll(/%0D|%0A|%22/gi, decodeURIComponent);
}

type Input = ReturnType<typeof createInput>;

function createInput(body: AsyncIterable<Uint8Array>) {
  const source = body[Symbol.asyncIterator]();
  let buffer: Buffer = Buffer.alloc(0);
  async function more(): Promise<boolean> {
    const { done, value } = await source.next();
    if (done === true) return false;
    buffer = buffer.length === 0 ? Buffer.from(value) : Buffer.concat([buffer, value]);
    return true;
  }
  function skip(bytes: number): void {
    buffer = buffer.subarray(bytes);
  }
  return {
    more,
    skip,
    held: () => buffer,
    prepend(bytes: Buffer) {
      buffer = Buffer.concat([bytes, buffer]);
    },
    async take(count: number): Promise<Buffer | undefined> {
      while (buffer.length < count) if (!(await more())) return undefined;
      const taken = buffer.subarray(0, count);
      skip(count);
      return taken;
    },
    async takeUntil(end: Buffer, maxBytes: number): Promise<Buffer> {
      for (;;) {
        const at = buffer.indexOf(end);
        if (at !== -1 && at <= maxBytes) {
          const taken = buffer.subarray(0, at);
          skip(at + end.length);
          return taken;
        }
        if (at !== -1 || buffer.length > maxBytes || !(await more())) throw malformedUpload();
      }
    },
  };
}

function malformedUpload(): ServiceError {
  return new ServiceError(
    'invalid_request',
    'Cannot read the form: it must be complete multipart/form-data whose parts have names',
  );
}

export interface ChunkLimits {
  readonly maxBytes: number;
  /** A body of which nothing arrives for so long is refused. */
  readonly stallMs: number;
}

/**
 * A body that is too large for memory, piece by piece. What is left of a refused body is not
 * cancelled: that would cut the connection before its answer; the connection itself discards it.
 * @throws ServiceError payload_too_large, request_timeout or invalid_request
 */
export async function* readChunks(
  { request, header }: Pick<RequestContext, 'request' | 'header'>,
  limits: ChunkLimits,
): AsyncGenerator<Uint8Array, void, void> {
  if (Number(header('content-length') ?? 0) > limits.maxBytes) throw uploadTooLarge(limits);
  if (request.body === null) return;
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await withStallTimeout(reader.read().catch(uploadStalled), limits);
      if (done) return;
      bytes += value.byteLength;
      if (bytes > limits.maxBytes) throw uploadTooLarge(limits);
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

async function withStallTimeout<T>(reading: Promise<T>, { stallMs }: ChunkLimits): Promise<T> {
  const stalled = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const wanted = `something of it must arrive every ${stallMs} ms`;
    stalled.reject(new ServiceError('request_timeout', `Cannot read the body: ${wanted}`));
  }, stallMs);
  try {
    return await Promise.race([reading, stalled.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function uploadStalled(cause: unknown): never {
  const message = 'Cannot read the body: it must arrive whole';
  throw new ServiceError('invalid_request', message, { cause });
}

function uploadTooLarge({ maxBytes }: ChunkLimits): ServiceError {
  const message = `Cannot read the body: it must have at most ${maxBytes} bytes`;
  return new ServiceError('payload_too_large', message);
}
