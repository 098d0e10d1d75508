import { describe, expect, it } from 'vitest';
import { ask, clientOf, endedCall, post, readStream, startModel } from './support.ts';

describe('interrupted streams', () => {
  it.each([
    ['dev/cut-5', 5],
    ['dev/stall-5', 5],
    ['dev/cut-0', 0],
  ])('%s sends exactly its tokens and then resets', async (name, tokens) => {
    const model = await startModel();

    const { text, finishReason, error } = await readStream(clientOf(model), name);

    expect(error).toBeInstanceOf(Error);
    expect(finishReason).toBeUndefined();
    expect(text.split(' ').filter(Boolean)).toHaveLength(tokens);
    expect(await endedCall(model)).toMatchObject({ status: 'cut', tokensSent: tokens });
  });

  it.each(['dev/fin-4', 'dev/empty-stream'])(
    '%s ends without a reason and without an error',
    async (name) => {
      const model = await startModel();

      const response = await post(model, { body: ask(name, { stream: true }) });
      const text = await response.text();

      expect(text).not.toContain('[DONE]');
      expect(text).not.toContain('"finish_reason":"');
      expect(text.match(/"content":"\w/g) ?? []).toHaveLength(name === 'dev/fin-4' ? 4 : 0);
      expect(await endedCall(model)).toMatchObject({ status: 'cut' });
    },
  );

  it('gives a finish_reason but no end marker', async () => {
    const model = await startModel();

    const text = await (await post(model, { body: ask('dev/no-done', { stream: true }) })).text();

    expect(text).toContain('"finish_reason":"stop"');
    expect(text).not.toContain('[DONE]');
  });

  it('sends an error event that the real client throws', async () => {
    const client = clientOf(await startModel());

    const { text, error } = await readStream(client, 'dev/error-in-stream-2');

    expect(text).toBe('one two ');
    expect(error).toMatchObject({ type: 'server_error' });
  });

  it.each([
    ['dev/reset-then-ok', ['error', 'stop']],
    ['dev/cut-then-ok-2', ['error', 'stop']],
    ['dev/empty-stream-then-ok-2', ['nothing', 'nothing', 'stop']],
    ['dev/reset', ['error', 'error']],
  ])('%s recovers as its name says', async (name, wanted) => {
    const client = clientOf(await startModel());
    const outcomes: string[] = [];

    for (let call = 0; call < wanted.length; call += 1) {
      const { error, finishReason } = await readStream(client, name);
      outcomes.push(error === undefined ? (finishReason ?? 'nothing') : 'error');
    }

    expect(outcomes).toEqual(wanted);
  });

  it('cuts a whole answer in the middle too', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('dev/cut-3') });

    await expect(response.text()).rejects.toThrow();
  });
});

describe('slow answers', () => {
  it.each([
    ['dev/slow-first-token', 'stop'],
    ['dev/trickle', 'stop'],
    ['dev/slow-100', 'stop'],
  ])('%s is whole in the end', async (name, finish) => {
    const client = clientOf(await startModel({ scale: 0.00001 }));

    const { text, finishReason } = await readStream(client, name);

    expect(text).toMatch(/You said: Hello$/);
    expect(finishReason).toBe(finish);
  });

  it('shows headers long before a slow first token, and none at all when silent', async () => {
    const model = await startModel({ scale: 1 });

    const leaving = new AbortController();
    const { signal } = leaving;
    const silent = post(model, { body: ask('dev/silent', { stream: true }), signal });
    const refused = expect(silent).rejects.toThrow();
    const slow = await post(model, { body: ask('dev/slow-first-token', { stream: true }), signal });

    expect(slow.status).toBe(200);
    expect(model.calls().find((call) => call.model === 'dev/silent')?.httpStatus).toBeUndefined();
    leaving.abort();
    await refused;
  });
});

describe('unusual valid streams', () => {
  it.each(['dev/sse-crlf', 'dev/sse-bom', 'dev/sse-split-utf8'])(
    '%s gives the whole text to the real client',
    async (name) => {
      const client = clientOf(await startModel());

      const { text, finishReason, error } = await readStream(client, name, 'Grüße 漢字');

      expect(error).toBeUndefined();
      expect(text).toContain('You said: Grüße 漢字');
      expect(finishReason).toBe('stop');
    },
  );

  it('mixes comments, unknown events and data over two lines into a readable stream', async () => {
    const model = await startModel();

    const { text, finishReason } = await readStream(clientOf(model), 'dev/sse-comments');
    const raw = await post(model, { body: ask('dev/sse-comments', { stream: true }) });

    expect(text).toMatch(/You said: Hello$/);
    expect(finishReason).toBe('stop');
    expect(await raw.text()).toMatch(/^: a comment\n\n[^]*event: weather[^]*\ndata:"/);
  });

  it('starts with the bytes of a byte order mark', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('dev/sse-bom', { stream: true }) });

    const bytes = Buffer.from(await response.arrayBuffer());
    expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  });
});

describe('invalid answers', () => {
  it('breaks a stream with an event that is not JSON', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('dev/sse-bad-json', { stream: true }) });
    const events = (await response.text())
      .split('\n\n')
      .map((event) => event.slice('data: '.length));

    const broken = events.filter((event) => event.startsWith('{') && !event.endsWith('}'));
    expect(broken).toEqual(['{"choices":[{"delta":{"content":"NEVER-LOG-THIS-CHUNK']);
  });

  it('sends one line of ten MiB', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('dev/sse-long-line', { stream: true }) });
    const lines = (await response.text()).split('\n');

    expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(10 * 1024 * 1024);
  });

  it.each([
    ['dev/200-html', /^<!doctype html>/],
    ['dev/200-empty-object', /^\{\}$/],
    ['dev/200-no-choices', /"choices":\[\]/],
    ['dev/200-null-content', /"content":null\},"finish_reason":"stop"/],
    ['dev/200-bad-tool-calls', /"name":null/],
    ['dev/200-truncated', /^\{.*[^}]$/],
  ])('%s is a 200 that holds no answer', async (name, pattern) => {
    const model = await startModel();

    const response = await post(model, { body: ask(name) });

    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(pattern);
  });

  it('sends a huge body', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('dev/200-huge-3000000') });

    expect((await response.text()).length).toBeGreaterThan(3_000_000);
  });

  it('filters after some tokens, at once, and refuses', async () => {
    const client = clientOf(await startModel());

    const late = await readStream(client, 'dev/content-filter-stream');
    const early = await readStream(client, 'dev/content-filter-finish');
    const refusal = await client.chat.completions.create({
      model: 'dev/refusal',
      messages: [{ role: 'user', content: 'Hello' }],
    });

    expect(late).toMatchObject({ text: 'I am the ', finishReason: 'content_filter' });
    expect(early).toMatchObject({ text: '', finishReason: 'content_filter' });
    expect(refusal.choices[0]?.message).toMatchObject({ content: null });
    expect(refusal.choices[0]?.message.refusal).toContain('refuse');
  });
});
