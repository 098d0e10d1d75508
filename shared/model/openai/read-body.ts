import type { Readable } from 'node:stream';
import { invalidAnswer } from '../upstream-error.ts';

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
  body.on('end', () => resolve(new TextDecoder().decode(Buffer.concat(chunks))));
  body.on('error', reject);
  // Broken before anybody read it, or left without a word.
  function close(): void {
    if (body.readableEnded) return;
    reject(body.errored ?? new Error('The body was closed before its end'));
  }
  if (body.destroyed) close();
  else body.on('close', close);
  return promise;
}
