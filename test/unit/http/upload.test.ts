import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { boundaryOf, readForm, type FormOptions } from '../../../shared/http/upload.ts';

async function* pieces(content: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += bytes) yield content.subarray(at, at + bytes);
}

interface ReadOptions extends Partial<FormOptions> {
  readonly bytes?: number;
}

async function read(content: string | Uint8Array, { bytes = 3, ...options }: ReadOptions = {}) {
  const files: { filename: string | undefined; text: string }[] = [];
  const fields = await readForm(pieces(Buffer.from(content), bytes), {
    boundary: 'b',
    fields: ['purpose'],
    onStart: async () => undefined,
    async onFile({ filename, chunks }) {
      const read = await Array.fromAsync(chunks);
      files.push({ filename, text: Buffer.concat(read).toString('utf8') });
    },
    ...options,
  });
  return { files, fields: Object.fromEntries(fields) };
}

function part(disposition: string, content: string): string {
  return `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`;
}

const HEAD = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n';

describe('readForm', () => {
  it.each([1, 2, 5, 17, 100_000])(
    'reads what FormData writes, in pieces of %i bytes',
    async (n) => {
      const form = new FormData();
      const content = 'line 1\r\n--b\r\n--bound größe\r\n\r\n';
      form.set('file', new Blob([content]), 'größe "x"\r\n.jsonl');
      form.set('purpose', 'batch');
      const written = new Response(form);
      const boundary = boundaryOf(written.headers.get('content-type') ?? '');
      const body = new Uint8Array(await written.arrayBuffer());

      const { files, fields } = await read(body, { boundary, bytes: n });

      expect(files).toEqual([{ filename: 'größe "x"\r\n.jsonl', text: content }]);
      expect(fields).toEqual({ purpose: 'batch' });
    },
  );

  it.each([
    { disposition: 'filename="日本語 👋🏽.jsonl"', filename: '日本語 👋🏽.jsonl' },
    { disposition: "filename*=UTF-8''%e2%82%ac%20rates.jsonl", filename: '€ rates.jsonl' },
    { disposition: "filename*=iso-8859-1'en'%A3.jsonl", filename: '£.jsonl' },
    {
      disposition: `filename="EUR; 'x'.jsonl"; filename*=utf-8''%e2%82%ac.jsonl`,
      filename: '€.jsonl',
    },
    {
      disposition: `filename*=utf-8''%e2%82%ac.jsonl; filename="a\\"b.jsonl"`,
      filename: '€.jsonl',
    },
    { disposition: "filename=in.jsonl; FILENAME*=utf-8''%F0%9F%91%8B.jsonl", filename: '👋.jsonl' },
  ])('F23: reads the name of $disposition', async ({ disposition, filename }) => {
    const body = `${part(`name="file"; ${disposition}`, 'x\r\n\r\n--c-')}--b--\r\n`;

    const read1 = await read(body, { bytes: 1 });
    const read64 = await read(body, { bytes: 64 });

    expect(read1.files).toEqual([{ filename, text: 'x\r\n\r\n--c-' }]);
    expect(read64.files).toEqual(read1.files);
  });

  it('reads names without quotes, as .NET writes them', async () => {
    const file = part("name=file; filename=in.jsonl; filename*=utf-8''in.jsonl", 'x');

    const { files, fields } = await read(`${file}${part('name=purpose', 'batch')}--b--\r\n`);

    expect(files).toEqual([{ filename: 'in.jsonl', text: 'x' }]);
    expect(fields).toEqual({ purpose: 'batch' });
  });

  it('buffers only a few chunks of a large file, however slowly it is stored', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    let given = 0;
    let stored = 0;
    let mostAhead = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`--b\r\n${HEAD}`);
      for (; given < 200; given += 1) yield chunk;
      yield Buffer.from('\r\n--b--\r\n');
    }

    await readForm(body(), {
      boundary: 'b',
      fields: [],
      onStart: async () => undefined,
      async onFile({ chunks }) {
        for await (const bytes of chunks) {
          stored += bytes.byteLength;
          await new Promise(setImmediate);
          mostAhead = Math.max(mostAhead, given * chunk.byteLength - stored);
        }
      },
    });

    expect(stored).toBe(200 * chunk.byteLength);
    expect(mostAhead).toBeLessThan(8 * chunk.byteLength);
  });

  it('ignores fields that the route does not know, whatever their size', async () => {
    const unknown = part('name="note"', 'y'.repeat(5_000));

    const { files, fields } = await read(`${unknown}--b\r\n${HEAD}x\r\n--b--`);

    expect(files).toEqual([{ filename: 'a.jsonl', text: 'x' }]);
    expect(fields).toEqual({});
  });

  it.each([
    ['headers without a name', '--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--'],
    ['headers that are too long', `--b\r\nX: ${'y'.repeat(9_000)}\r\n${HEAD}x\r\n--b--`],
  ])('ignores a part with %s', async (_case, text) => {
    expect(await read(text, { bytes: 1_000 })).toEqual({ files: [], fields: {} });
  });

  it.each([
    ['nothing', ''],
    ['text before the first boundary', `hello\r\n--b\r\n${HEAD}x\r\n--b--`],
    ['JSON', '{"headers":{}}'],
    ['no end', `--b\r\n${HEAD}x`],
    ['an end that is not a final boundary', `--b\r\n${HEAD}x\r\n--b`],
    ['headers without an end', `--b\r\nContent-Disposition: form-data; name="file"`],
    ['two files', `--b\r\n${HEAD}x\r\n--b\r\n${HEAD}y\r\n--b--`],
    ['a field that is too long', `${part('name="purpose"', 'y'.repeat(1_025))}--b--`],
    ['17 parts', `${part('name="note"', 'y').repeat(17)}--b--`],
  ])('refuses a body of %s', async (_case, text) => {
    const reading = read(text, { bytes: 1_000 });

    await expect(reading).rejects.toThrow(ServiceError);
    await expect(reading).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('starts only when the body proved to be a form', async () => {
    const started: string[] = [];
    const onStart = async () => void started.push('started');

    await expect(read('{"a":"\n--b\r\n"}', { onStart })).rejects.toThrow(ServiceError);
    await read(`--b\r\n${HEAD}x\r\n--b--`, { onStart });

    expect(started).toEqual(['started']);
  });

  it('ends the storing of a file whose form is cut off, and rejects after it ended', async () => {
    let stored: unknown;
    const onFile: FormOptions['onFile'] = async ({ chunks }) => {
      stored = await Array.fromAsync(chunks).catch((error: unknown) => error);
      throw stored;
    };

    const reading = read(`--b\r\n${HEAD}x`, { onFile });

    await expect(reading).rejects.toMatchObject({ code: 'invalid_request' });
    expect(stored).toBeInstanceOf(Error);
  });

  it('rejects with the error of the body and with that of the storing of the file', async () => {
    const bodyError = new ServiceError('payload_too_large', 'Too large');
    const storageError = new ServiceError('storage_unavailable', 'Unavailable');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`--b\r\n${HEAD}x`);
      throw bodyError;
    }
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`--b\r\n${HEAD}x`);
      await new Promise(() => undefined);
    }
    const options = { boundary: 'b', fields: [], onStart: async () => undefined };

    const cutOff = readForm(broken(), {
      ...options,
      onFile: async ({ chunks }) => void (await Array.fromAsync(chunks)),
    });
    const notStored = readForm(endless(), {
      ...options,
      onFile: () => Promise.reject(storageError),
    });

    await Promise.all([
      expect(cutOff).rejects.toBe(bodyError),
      expect(notStored).rejects.toBe(storageError),
    ]);
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
