import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { from } from './support/callers.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    settings: {
      HISTORY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      AGENT__MODEL__MAX_ATTEMPTS: '1',
    },
  });
});
afterAll(() => environment.stop());

interface Sent {
  readonly key: string;
  readonly path?: string;
  readonly body?: unknown;
  readonly form?: FormData;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

async function send({ key, path = '/api/chat', body, form, headers = {}, signal }: Sent) {
  const type = form === undefined ? { 'content-type': 'application/json' } : {};
  const response = await fetch(`${environment.url}${path}`, {
    method: 'POST',
    headers: { ...type, 'idempotency-key': key, ...headers },
    body: form ?? JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

const isReplay = ({ headers }: { readonly headers: Headers }) =>
  headers.get('idempotent-replayed') === 'true';
const callsWith = (text: string) =>
  environment.model.calls().filter((call) => JSON.stringify(call).includes(text)).length;
const completion = (content: string, stream = false) => ({
  model: 'any',
  stream,
  messages: [{ role: 'user', content }],
});

describe('an Idempotency-Key (H17)', () => {
  it('makes one model call of 50 requests at once, which get equal answers', async () => {
    const before = environment.model.calls().length;

    const answers = await Promise.all(
      Array.from({ length: 50 }, () => send({ key: 'at-once', body: { message: 'At once' } })),
    );

    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(200);
    expect(answers.filter(isReplay)).toHaveLength(49);
    expect(environment.model.calls().length - before).toBe(1);
  });

  it.each([
    ['/api/chat', { message: 'A chat stream', stream: true }],
    ['/v1/chat/completions', completion('A completion stream', true)],
    ['/v1/chat/completions', completion('A completion')],
  ])('repeats the answer of %s with the same bytes: %j', async (path, body) => {
    const key = JSON.stringify(body);
    const before = environment.model.calls().length;

    const first = await send({ key, path, body });
    const second = await send({ key, path, body });

    expect(second.text).toBe(first.text);
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect([isReplay(first), isReplay(second)]).toEqual([false, true]);
    expect(environment.model.calls().length - before).toBe(1);
  });

  it('belongs to one caller, one route and one body', async () => {
    const body = completion('One body');
    const path = '/v1/chat/completions';
    await send({ key: 'scope', path, body });

    const [other, route, caller] = await Promise.all([
      send({ key: 'scope', path, body: completion('Another body') }),
      send({ key: 'scope', path: '/api/chat', body: { message: 'One body' } }),
      send({ key: 'scope', path, body, headers: from('192.0.2.9') }),
    ]);

    for (const refused of [other, route]) {
      expect(refused.status).toBe(422);
      expect(JSON.parse(refused.text)).toMatchObject({
        retryable: false,
        error: { code: 'idempotency_mismatch', param: 'Idempotency-Key' },
      });
    }
    expect([caller.status, isReplay(caller)]).toEqual([200, false]);
  });

  it('is refused while its first request runs, and free when that one is aborted', async () => {
    const first = new AbortController();
    const body = { message: 'dev/slow-first-token-1000000 Slow' };
    const running = send({ key: 'slow', body, signal: first.signal }).catch(() => undefined);
    await eventually('the model is called', () => callsWith('Slow') === 1);

    const other = await send({ key: 'slow', body: { message: 'Another' } });
    const second = await send({ key: 'slow', body });
    first.abort();
    await running;
    const replaced = { message: 'After the abort' };

    expect(other.status).toBe(422);
    expect(second.status).toBe(409);
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(JSON.parse(second.text)).toMatchObject({ error: { code: 'idempotency_in_progress' } });
    await eventually('the key is free', async () => {
      return (await send({ key: 'slow', body: replaced })).status === 200;
    });
  });

  it('keeps no failed answer', async () => {
    const body = { message: 'dev/500-always Fails' };
    const stream = { message: 'dev/cut-2 Breaks off', stream: true };

    const failed = [await send({ key: 'f', body }), await send({ key: 'f', body })];
    const cut = [await send({ key: 'c', body: stream }), await send({ key: 'c', body: stream })];

    expect(failed.map(({ status }) => status)).toEqual([503, 503]);
    expect(cut.map(({ text }) => text.includes('event: error'))).toEqual([true, true]);
    expect([...failed, ...cut].filter(isReplay)).toEqual([]);
    expect([callsWith('Fails'), callsWith('Breaks off')]).toEqual([2, 2]);
  });

  it('creates one file and one batch', async () => {
    const upload = (content: string) => {
      const form = new FormData();
      form.set('purpose', 'batch');
      form.set('file', new Blob([content]), 'in.jsonl');
      return send({ key: 'file', path: '/v1/files', form });
    };
    const line = JSON.stringify({ custom_id: '1', body: completion('Item') });

    const files = [await upload(line), await upload(line)];
    const other = await upload(`${line}\n${line}`);
    const { id } = JSON.parse(files[0]?.text ?? '') as { id: string };
    const batch = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' };
    const batches = [
      await send({ key: 'batch', path: '/v1/batches', body: batch }),
      await send({ key: 'batch', path: '/v1/batches', body: batch }),
    ];

    expect(files.map(({ status }) => status)).toEqual([200, 200]);
    expect(files[1]?.text).toBe(files[0]?.text);
    expect(other.status).toBe(422);
    expect(batches[1]?.text).toBe(batches[0]?.text);
    expect([...files, ...batches].map(isReplay)).toEqual([false, true, false, true]);
  });

  it('is refused when it is longer than 255 characters', async () => {
    const accepted = await send({ key: 'k'.repeat(255), body: { message: 'Long key' } });
    const refused = await send({ key: 'k'.repeat(256), body: { message: 'Long key' } });

    expect(accepted.status).toBe(200);
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { param: 'Idempotency-Key' } });
  });

  it('leaves no plain text in storage while there is an encryption key', async () => {
    await send({ key: 'sealed', body: { message: 'canary-4711 please repeat' } });

    const blobs = BlobServiceClient.fromConnectionString(environment.connectionString);
    const container = blobs.getContainerClient('idempotency');
    const texts: string[] = [];
    for await (const { name } of container.listBlobsFlat()) {
      texts.push((await container.getBlobClient(name).downloadToBuffer()).toString('utf8'));
    }

    expect(texts.length).toBeGreaterThan(5);
    expect(texts.filter((text) => !/^(?:enc\.1\.[^\n]+\n)*$/.test(text))).toEqual([]);
  });
});
