import type { IncomingMessage } from 'node:http';
import type { HostTimings } from '../timings.ts';
import type { RequestHeaders } from './request-headers.ts';

/** The least pace of a body after its grace: the default of the platform's web server. */
const MIN_BYTES_PER_SECOND = 240;

/** A body is larger than the platform takes. */
export class BodyTooLargeError extends Error {
  constructor(limit: number) {
    super(`The request body must have at most ${limit} bytes`);
    this.name = 'BodyTooLargeError';
  }
}

/** A body of announced length arrives more slowly than the platform accepts. */
export class BodyTooSlowError extends Error {
  constructor() {
    super(`The request body must arrive with at least ${MIN_BYTES_PER_SECOND} bytes per second`);
    this.name = 'BodyTooSlowError';
  }
}

export interface BodyLimits {
  /** In bytes. */
  readonly maxBody: number;
  readonly timings: Pick<HostTimings, 'bodyGraceMs'>;
}

/** The announced length of a body; 0 for a body in chunks or none. */
export function contentLengthOf(headers: RequestHeaders): number {
  return Number(headers.get('content-length')?.values[0] ?? 0);
}

/**
 * Reads a body of announced length as a whole, as the platform's binding does.
 * @throws BodyTooLargeError, BodyTooSlowError, or an Error when the client disconnects
 */
export async function readBody(
  { request, headers }: { readonly request: IncomingMessage; readonly headers: RequestHeaders },
  { maxBody, timings }: BodyLimits,
): Promise<Buffer> {
  if (contentLengthOf(headers) > maxBody) throw new BodyTooLargeError(maxBody);
  const chunks: Buffer[] = [];
  let size = 0;
  const read = Promise.withResolvers<undefined>();
  request.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
  });
  request.once('end', () => read.resolve(undefined));
  request.once('error', read.reject);
  request.once('close', () => read.reject(new Error('The client has disconnected')));
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const seconds = (performance.now() - startedAt) / 1_000;
    if (size < seconds * MIN_BYTES_PER_SECOND) read.reject(new BodyTooSlowError());
  }, timings.bodyGraceMs);
  try {
    await read.promise;
    return Buffer.concat(chunks, size);
  } finally {
    clearInterval(timer);
  }
}

/** The text of a body as the platform reads it; undefined when it cannot be JSON anyway. */
export function jsonTextOf(body: Buffer): string | undefined {
  const first = body
    .subarray(0, 64)
    .toString('latin1')
    .replace(/^\u00EF\u00BB\u00BF/, '')
    .trimStart();
  if (first !== '' && !first.startsWith('{')) return undefined;
  return body.toString('utf8').replace(/^\uFEFF/, '');
}
