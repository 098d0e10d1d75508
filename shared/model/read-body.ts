import { invalidAnswer } from './failures.ts';

/** The bytes of a body as they come, and nothing is read before it is asked for. */
export async function* readChunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Frees the socket of a body that is not read to its end; a failed body has nothing to free.
    reader.cancel().catch(() => undefined);
  }
}

/** A whole body as text; one that is longer than the cap is refused without being read on. */
export async function readText(response: Response, maxBytes: number): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of readChunks(response.body)) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw invalidAnswer('The body is longer than the cap');
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
