import { describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BodyLimits, readChunks, readText } from '../../../shared/http/read-body.ts';
import { postRaw, postStream } from '../../support/http-call.ts';

const LIMITS: BodyLimits = {
  maxBytes: 1_024,
  deadlineMs: 10_000,
  stallMs: 10_000,
  minBytesPerSecond: 1_024,
};

interface Source {
  readonly request: ReturnType<typeof postStream>;
  readonly pulled: () => number;
  readonly isCancelled: () => boolean;
}

/** A body whose chunks are made on demand. */
function bodyOf(chunkBytes: number, chunks = Infinity): Source {
  let pulled = 0;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled += 1;
        if (pulled > chunks) controller.close();
        else controller.enqueue(new Uint8Array(chunkBytes).fill(0x61));
      },
      cancel() {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { request: postStream(stream), pulled: () => pulled, isCancelled: () => cancelled };
}

interface Drips {
  readonly everyMs: number;
  readonly count?: number;
}

/** A body of single bytes with pauses. */
function drips({ everyMs, count = Infinity }: Drips): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      await sleep(everyMs);
      if (sent === count) return controller.close();
      sent += 1;
      controller.enqueue(Uint8Array.of(0x61));
    },
  });
}

function read(request: ReturnType<typeof postStream>, limits = LIMITS): Promise<string> {
  return readText({ request, header: (name) => request.headers.get(name) ?? undefined }, limits);
}

describe('readText', () => {
  it('takes a body of exactly the limit and refuses one byte more', async () => {
    const fitting = await read(postRaw('a'.repeat(1_024)));
    const tooLong = read(postRaw('a'.repeat(1_025)));

    expect(fitting).toHaveLength(1_024);
    await expect(tooLong).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('counts bytes and not characters', async () => {
    await expect(read(postRaw('ä'.repeat(600)))).rejects.toMatchObject({
      code: 'payload_too_large',
    });
  });

  it('refuses by Content-Length without reading anything', async () => {
    const { request, pulled } = bodyOf(10);

    const refused = readText({ request, header: () => '1025' }, LIMITS);

    await expect(refused).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(pulled()).toBe(0);
  });

  it.each(['1', '-5', 'abc', '1e2'])(
    'reads no further than the limit when Content-Length claims %s',
    async (claimed) => {
      const { request, pulled } = bodyOf(256);

      const refused = readText({ request, header: () => claimed }, LIMITS);

      await expect(refused).rejects.toMatchObject({ code: 'payload_too_large' });
      expect(pulled()).toBeLessThanOrEqual(6);
    },
  );

  it('stops an endless chunked body at the limit', async () => {
    const { request, pulled } = bodyOf(512);

    await expect(read(request)).rejects.toMatchObject({ code: 'payload_too_large' });

    expect(pulled()).toBeLessThanOrEqual(4);
  });

  it('does not cancel a refused body, because its connection still sends the response', async () => {
    const { request, isCancelled } = bodyOf(2_000);

    await expect(read(request)).rejects.toMatchObject({ code: 'payload_too_large' });

    expect(isCancelled()).toBe(false);
    expect(request.body?.locked).toBe(false);
  });

  it('refuses a body that stalls', async () => {
    const stalled = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array([0x7b])),
    });

    const refused = read(postStream(stalled), { ...LIMITS, stallMs: 20 });

    await expect(refused).rejects.toMatchObject({ code: 'request_timeout' });
  });

  it('T2: refuses a body below the minimum rate, however regularly it arrives', async () => {
    const limits = { ...LIMITS, stallMs: 40, minBytesPerSecond: 10_000 };

    const refused = read(postStream(drips({ everyMs: 5 })), limits);

    await expect(refused).rejects.toMatchObject({
      code: 'request_timeout',
      message: expect.stringContaining('10000 bytes per second'),
    });
  });

  it('T2: takes a slow body at the minimum rate, but not beyond the deadline', async () => {
    const limits = { ...LIMITS, stallMs: 1_000, minBytesPerSecond: 1 };

    const whole = await read(postStream(drips({ everyMs: 1, count: 30 })), limits);
    const refused = read(postStream(drips({ everyMs: 1 })), { ...limits, deadlineMs: 50 });

    expect(whole).toHaveLength(30);
    await expect(refused).rejects.toMatchObject({
      code: 'request_timeout',
      message: expect.stringContaining('within 50 ms'),
    });
  });

  it('T2: does not count the time that the consumer takes', async () => {
    const { request } = bodyOf(1, 5);
    const limits = { ...LIMITS, stallMs: 20, minBytesPerSecond: 1_000 };
    const source = { request, header: () => undefined };

    let bytes = 0;
    for await (const chunk of readChunks(source, limits)) {
      bytes += chunk.byteLength;
      await sleep(15);
    }

    expect(bytes).toBe(5);
  });

  it('reports a truncated body as incomplete, without the text of the cause', async () => {
    const broken = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new Error('ECONNRESET 10.0.0.7')),
    });

    const refused = read(postStream(broken));

    await expect(refused).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'Cannot read the body: it must arrive whole',
    });
  });

  it('joins characters that were split over chunks', async () => {
    const bytes = new TextEncoder().encode('{"a":"👩‍👧 ü"}');
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });

    expect(await read(postStream(stream))).toBe('{"a":"👩‍👧 ü"}');
  });

  it('reads no body as empty text', async () => {
    expect(await read(postRaw(''))).toBe('');
  });

  it.each([
    ['a stray continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character cut at the end', [0x22, 0xe2, 0x82]],
    ['Latin-1', [0x22, 0xfc, 0x22]],
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ['UTF-16 little endian with its mark', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
    ['UTF-16 little endian without', [0x7b, 0x00, 0x7d, 0x00]],
    ['UTF-16 big endian without', [0x00, 0x7b, 0x00, 0x7d]],
    ['a NUL byte', [0x7b, 0x7d, 0x00]],
  ])('refuses %s', async (_name, bytes) => {
    await expect(read(postRaw(Uint8Array.from(bytes)))).rejects.toMatchObject({
      code: 'invalid_encoding',
    });
  });
});
