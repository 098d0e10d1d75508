import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { boundaryOf, readMultipart } from '../../../shared/http/upload.ts';

async function* pieces(content: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += bytes) yield content.subarray(at, at + bytes);
}

async function read(content: string | Uint8Array, { boundary = 'b', bytes = 3 } = {}) {
  const parts: { name: string; filename: string | undefined; text: string }[] = [];
  for await (const part of readMultipart(pieces(Buffer.from(content), bytes), boundary)) {
    const chunks = await Array.fromAsync(part.chunks);
    const { name, filename } = part;
    parts.push({ name, filename, text: Buffer.concat(chunks).toString('utf8') });
  }
  return parts;
}

const HEAD = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n';

describe('readMultipart', () => {
  it.each([1, 2, 5, 17, 100_000])(
    'reads what FormData writes, in pieces of %i bytes',
    async (n) => {
      const form = new FormData();
      const content = 'line 1\r\n--b\r\n--bound größe\r\n\r\n';
      form.set('file', new Blob([content]), 'größe "x"\r\n.jsonl');
      form.set('purpose', 'batch');
      const written = new Response(form);
      const boundary = boundaryOf(written.headers.get('content-type') ?? '');

      const parts = await read(new Uint8Array(await written.arrayBuffer()), { boundary, bytes: n });

      expect(parts).toEqual([
        { name: 'file', filename: 'größe "x"\r\n.jsonl', text: content },
        { name: 'purpose', filename: undefined, text: 'batch' },
      ]);
    },
  );

  it('reads names without quotes, as .NET writes them', async () => {
    const head = (rest: string) => `Content-Disposition: form-data; ${rest}\r\n\r\n`;
    const file = head("name=file; filename=in.jsonl; filename*=utf-8''in.jsonl");

    const parts = await read(`--b\r\n${file}x\r\n--b\r\n${head('name=purpose')}batch\r\n--b--\r\n`);

    expect(parts).toEqual([
      { name: 'file', filename: 'in.jsonl', text: 'x' },
      { name: 'purpose', filename: undefined, text: 'batch' },
    ]);
  });

  it('holds no more than a chunk and a boundary of a large file', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    let given = 0;
    let largest = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`--b\r\n${HEAD}`);
      for (; given < 200; given += 1) yield chunk;
      yield Buffer.from('\r\n--b--\r\n');
    }

    let bytes = 0;
    for await (const part of readMultipart(body(), 'b')) {
      for await (const piece of part.chunks) {
        largest = Math.max(largest, piece.byteLength);
        bytes += piece.byteLength;
      }
    }

    expect(bytes).toBe(200 * chunk.byteLength);
    expect(largest).toBeLessThan(2 * chunk.byteLength);
  });

  it('gets past a part that nobody reads', async () => {
    const names: string[] = [];
    const text = `--b\r\n${HEAD}skipped\r\n--b\r\n${HEAD.replace('"file"', '"next"')}x\r\n--b--`;

    for await (const part of readMultipart(pieces(Buffer.from(text), 4), 'b')) {
      names.push(part.name);
    }

    expect(names).toEqual(['file', 'next']);
  });

  it.each([
    ['nothing', ''],
    ['text before the first boundary', `hello\r\n--b\r\n${HEAD}x\r\n--b--`],
    ['JSON', '{"headers":{}}'],
    ['no end', `--b\r\n${HEAD}x`],
    ['an end that says nothing', `--b\r\n${HEAD}x\r\n--b`],
    ['headers without an end', `--b\r\nContent-Disposition: form-data; name="file"`],
    ['headers without a name', '--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--'],
    ['headers that are too long', `--b\r\nX: ${'y'.repeat(9_000)}\r\n\r\nx\r\n--b--`],
  ])('refuses a body of %s', async (_case, text) => {
    const reading = read(text, { bytes: 1_000 });

    await expect(reading).rejects.toThrow(ServiceError);
    await expect(reading).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('boundaryOf', () => {
  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data; charset=utf-8; boundary="a b;c"', 'a b;c'],
  ])('finds the boundary in %s', (contentType, boundary) => {
    expect(boundaryOf(contentType)).toBe(boundary);
  });

  it.each(['', 'application/json', 'multipart/form-data', 'multipart/form-data; boundary=""'])(
    'refuses %j',
    (contentType) => {
      expect(() => boundaryOf(contentType)).toThrow(
        expect.objectContaining({ code: 'unsupported_media_type' }),
      );
    },
  );
});
