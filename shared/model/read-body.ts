import { finished, type Readable } from 'node:stream';
import { invalidAnswer } from './failures.ts';

/**
 * A whole body as text. One that is longer than the cap is refused without being read on, and its
 * connection is closed.
 *
 * @throws UpstreamFailure upstream_invalid above the cap; else whatever broke the body
 */
export function readText(body: Readable, maxBytes: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  body.on('data', (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) body.destroy(invalidAnswer('The body is longer than the cap'));
    else chunks.push(chunk);
  });
  finished(body, (error) => {
    if (error) reject(error);
    else resolve(new TextDecoder().decode(Buffer.concat(chunks)));
  });
  return promise;
}
