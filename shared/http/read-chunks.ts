import { ServiceError } from '../errors.ts';
import type { Exchange } from './request-context.ts';

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
  { request, header }: Pick<Exchange, 'request' | 'header'>,
  limits: ChunkLimits,
): AsyncGenerator<Uint8Array, void, void> {
  if (Number(header('content-length') ?? 0) > limits.maxBytes) throw tooLarge(limits);
  if (request.body === null) return;
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await withoutStall(reader.read().catch(brokenOff), limits);
      if (done) return;
      bytes += value.byteLength;
      if (bytes > limits.maxBytes) throw tooLarge(limits);
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

async function withoutStall<T>(reading: Promise<T>, { stallMs }: ChunkLimits): Promise<T> {
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

function brokenOff(cause: unknown): never {
  const message = 'Cannot read the body: it must arrive whole';
  throw new ServiceError('invalid_request', message, { cause });
}

function tooLarge({ maxBytes }: ChunkLimits): ServiceError {
  const message = `Cannot read the body: it must have at most ${maxBytes} bytes`;
  return new ServiceError('payload_too_large', message);
}
