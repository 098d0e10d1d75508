import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import {
  chunk,
  completion,
  event,
  startScriptedUpstream,
  type Script,
} from '../support/scripted-upstream.ts';

const ENCODINGS: readonly (readonly [string, (text: string) => Uint8Array])[] = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['GZIP', gzipSync],
  ['br', brotliCompressSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['zstd', zstdCompressSync],
  ['identity', (text) => Buffer.from(text)],
];

describe('F5 a compressed body, although identity was requested', () => {
  function encoded(
    status: number,
    { encoding, type, bytes }: { encoding: string; type: string; bytes: Uint8Array },
  ): Script {
    return ({ response }) => {
      response.writeHead(status, { 'content-type': type, 'content-encoding': encoding });
      response.end(bytes);
    };
  }

  it.each(ENCODINGS)('is read: %s', async (encoding, compress) => {
    const bytes = compress(JSON.stringify(completion({ content: 'Grüße' })));
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await complete()).text).toBe('Grüße');
    await complete();
    expect(upstream.connections()).toBe(1);
  });

  it.each(ENCODINGS)('is read as a stream: %s', async (encoding, compress) => {
    const text = event(chunk({ content: 'Grüße' })) + event(chunk({}, 'stop')) + event('[DONE]');
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'text/event-stream', bytes: compress(text) }),
    );
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await ask()).answer?.text).toBe('Grüße');
  });

  it.each(ENCODINGS)('is read as an error: %s', async (encoding, compress) => {
    const bytes = compress(JSON.stringify({ error: { code: 'context_length_exceeded' } }));
    await using upstream = await startScriptedUpstream(
      encoded(400, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('context_too_long');
  });

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
  ])('%s is capped by its decoded size', async (encoding, compress) => {
    const bytes = compress(JSON.stringify(completion({ content: 'x'.repeat(20_000_000) })));
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxBodyBytes: 1_000_000 },
    });

    expect((await failureOf(complete())).code).toBe('upstream_invalid');
  });

  it.each([
    ['bytes that are not gzip', 'gzip', Buffer.from('{"choices":[]}')],
    [
      'half of the bytes',
      'gzip',
      gzipSync(JSON.stringify(completion({ content: 'hi' }))).subarray(0, 40),
    ],
    ['an unknown encoding', 'rot13', Buffer.from('{}')],
    ['no bytes', 'gzip', Buffer.alloc(0)],
  ])('fails as a response without content does: %s', async (...row) => {
    const [, encoding, bytes] = row;
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toMatch(/^upstream_(?:invalid|unavailable)$/);
  });
});
