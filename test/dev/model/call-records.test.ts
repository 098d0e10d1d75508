import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startDevelopmentModel } from '../../../dev/model/start-development-model.ts';
import { ask, clientOf, endedCall, post, readStream, startModel } from './support.ts';

describe('the calls that the development model records', () => {
  it('records headers, body and outcome of a call', async () => {
    const model = await startModel();

    await (await post(model, { body: ask('dev/500-always') })).text();

    expect(model.calls()).toMatchObject([
      {
        id: 1,
        path: '/v1/chat/completions',
        model: 'dev/500-always',
        stream: false,
        headers: { authorization: 'Bearer any-key' },
        body: ask('dev/500-always'),
        status: 'answered',
        httpStatus: 500,
      },
    ]);
  });

  it('shows calls and counts over HTTP without keys and large bodies, and forgets them', async () => {
    const model = await startModel();
    await (await post(model, { body: ask('any', { user: 'x'.repeat(5000) }) })).text();
    const origin = `http://127.0.0.1:${model.port}`;

    const calls: unknown = await (await fetch(`${origin}/dev/calls`)).json();
    const stats: unknown = await (await fetch(`${origin}/dev/stats`)).json();
    await fetch(`${origin}/dev/calls`, { method: 'DELETE' });

    expect(calls).toMatchObject([{ body: null, headers: { authorization: '[hidden]' } }]);
    expect(stats).toEqual({
      calls: 1,
      running: 0,
      aborted: 0,
      byModel: { any: 1 },
      maxConcurrent: 1,
      redirectHits: 0,
    });
    expect(model.calls()).toEqual([]);
  });

  it('starts the faults anew after a reset', async () => {
    const model = await startModel();

    const first = await post(model, { body: ask('dev/500-then-ok') });
    model.reset();
    const second = await post(model, { body: ask('dev/500-then-ok') });

    expect([first.status, second.status]).toEqual([500, 500]);
  });

  it.each(['dev/stall-2', 'dev/silent', 'dev/long-1000000', 'dev/bytes-900000000000'])(
    'sees a caller leave %s',
    async (name) => {
      const model = await startModel({ scale: 1, tokenDelayMs: 1 });
      const leaving = new AbortController();
      const body = ask(name, { stream: true });

      const answer = post(model, { body, signal: leaving.signal });
      const outcome = answer
        .then((response) => response.body?.getReader().read())
        .catch(() => null);
      while (model.calls().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      if (name !== 'dev/silent') await outcome;
      leaving.abort();
      await outcome;

      expect(await endedCall(model)).toMatchObject({ status: 'aborted' });
    },
  );

  it('stops sending while the client does not read', async () => {
    const model = await startModel();
    const socket = connect(model.port, '127.0.0.1');
    const body = JSON.stringify(ask('dev/bytes-500000000', { stream: true }));
    socket.pause();
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );

    const sent = () => model.calls()[0]?.tokensSent ?? 0;
    let before = -1;
    while (sent() === 0 || sent() !== before) {
      before = sent();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }

    expect(sent() * 8192).toBeLessThan(100_000_000);
    socket.destroy();
    expect(await endedCall(model)).toMatchObject({ status: 'aborted' });
  });

  it('sends exactly the requested bytes', async () => {
    const model = await startModel();

    const streamed = await readStream(clientOf(model), 'dev/bytes-1000001');
    const whole = await clientOf(model).chat.completions.create({
      model: 'dev/bytes-20001',
      messages: [{ role: 'user', content: 'Hello' }],
    });

    expect(streamed.text).toHaveLength(1_000_001);
    expect(whole.choices[0]?.message.content).toHaveLength(20_001);
  });

  it('stops with calls still open', async () => {
    const model = await startDevelopmentModel();
    const open = post(model, { body: ask('dev/silent') }).catch(() => 'closed');
    while (model.calls().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));

    await model.stop();

    expect(await open).toBe('closed');
  });
});

describe('the development model as a process', () => {
  it('prints its URL and ends on SIGTERM', async () => {
    const child = spawn(process.execPath, ['dev/model/main.ts', '--port', '0']);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];

    const url = /http:\S+/.exec(line.toString())?.[0] ?? '';
    const listed = await fetch(`${url}/models`, { headers: { 'api-key': 'k' } });
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];

    expect(listed.status).toBe(200);
    expect(code).toBe(0);
  });

  it('says in one line what is wrong with its port', async () => {
    const child = spawn(process.execPath, ['dev/model/main.ts', '--port', 'seven']);
    const [line] = (await once(child.stderr, 'data')) as [Buffer];
    const [code] = (await once(child, 'exit')) as [number];

    expect(line.toString()).toMatch(/^Cannot start as '--port' must be a number .*'seven'\n$/);
    expect(code).toBe(1);
  });
});
