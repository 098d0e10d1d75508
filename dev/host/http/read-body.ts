import type { IncomingMessage } from 'node:http';

/** A body is larger than the platform takes. */
export class BodyTooLargeError extends Error {
  constructor(limit: number) {
    super(`The request body must have at most ${limit} bytes`);
    this.name = 'BodyTooLargeError';
  }
}

/** The announced length of a body; undefined for a body in chunks or none. */
export function contentLengthOf(request: IncomingMessage): number | undefined {
  const text = request.headers['content-length'];
  return text === undefined ? undefined : Number(text);
}

/** Reads a body of announced length as a whole, as the platform's binding does. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  if ((contentLengthOf(request) ?? 0) > limit) throw new BodyTooLargeError(limit);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
    request.once('close', () => reject(new Error('The client has left')));
  });
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
