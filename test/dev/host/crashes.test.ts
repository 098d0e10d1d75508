import { describe, expect, it } from 'vitest';
import { waitUntilGone } from '../../support/processes.ts';
import { hostJson, startFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { open, readAll, requestText } from './support/raw-http.ts';
import { appWith, writeApp } from './support/temporary-app.ts';
import { waitUntil } from './support/wait-until.ts';

describe('a worker that ends', () => {
  it.each(['/exit/3', '/reject'])(
    'fails the calls in flight with 500, resets streams, and is replaced: %s',
    async (path) => {
      const host = await startFixture('streaming');
      const first = host.workerPid();
      const waiting = host.get('/late/60000');
      const stream = await openStream(host);

      const crashing = await host.get(path);

      expect(crashing.status).toBe(500);
      expect(await crashing.text()).toBe('');
      expect(crashing.headers.get('x-content-type-options')).toBe('nosniff');
      expect((await waiting).status).toBe(500);
      expect((await stream.rest).endsWith('0\r\n\r\n')).toBe(false);
      expect((await host.get('/echo')).status).toBe(200);
      expect(host.workerPid()).not.toBe(first);
    },
  );

  it('by a signal is replaced as well', async () => {
    const host = await startFixture('streaming');
    const waiting = host.get('/late/60000');
    await host.get('/echo');

    process.kill(host.workerPid() ?? 0, 'SIGTERM');

    expect((await waiting).status).toBe(500);
    expect((await host.get('/echo')).status).toBe(200);
  });

  it('with an unhandled rejection reports it in the log', async () => {
    const host = await startFixture('streaming');

    await host.get('/reject');

    expect((await host.logged('nobody waits for this')).level).toBe('error');
  });

  it('a second time soon after is replaced only when the interval is over; requests wait', async () => {
    const host = await startFixture('streaming', { timings: { restartIntervalMs: 1_500 } });
    await host.get('/exit/3');
    await host.get('/echo');
    const startedAt = performance.now();
    await host.get('/exit/3');

    const waited = await host.get('/echo');

    expect(waited.status).toBe(200);
    expect(performance.now() - startedAt).toBeGreaterThan(700);
  });

  it('a third time stops the host: the port closes and waiting requests are reset', async () => {
    const host = await startFixture('streaming', {
      timings: { restartIntervalMs: 300, giveUpResetMs: 300 },
    });
    for (let round = 0; round < 2; round += 1) {
      await host.get('/exit/3');
      await host.get('/echo');
    }
    const streaming = await openStream(host);

    await host.get('/exit/3');

    expect((await host.failed).message).toContain('has failed 3 times');
    await expect(host.get('/echo')).rejects.toThrow('fetch failed');
    await streaming.rest;
    await host.stop();
  });

  it('and cannot be loaded again stops the host too: waiting requests are reset', async () => {
    const appRoot = await writeApp(
      appWith(
        `import { existsSync, writeFileSync } from 'node:fs';
        if (existsSync('broken')) throw new Error('broken by now');
        app.http('exit', { handler: () => { writeFileSync('broken', ''); process.exit(3); } });`,
      ),
    );
    const host = await startFixture('streaming', {
      appRoot,
      timings: { restartIntervalMs: 500, giveUpResetMs: 200 },
    });
    await host.get('/exit');
    const reset = expect(host.get('/exit')).rejects.toThrow('fetch failed');

    expect((await host.failed).message).toContain('cannot be loaded');
    await reset;
  });

  it('is not counted with crashes of more than half an hour ago', async () => {
    const host = await startFixture('streaming', {
      timings: { restartIntervalMs: 10, crashWindowMs: 1 },
    });

    for (let round = 0; round < 4; round += 1) {
      await host.get('/exit/3');
      expect((await host.get('/echo')).status).toBe(200);
    }
  });

  it('with exit code 0 is never replaced: requests hang, and the log reports it', async () => {
    const host = await startFixture('streaming');

    const timeouts = ['/exit/0', '/echo'].map((path) =>
      expect(host.get(path, { signal: AbortSignal.timeout(700) })).rejects.toThrow('timeout'),
    );

    await Promise.all(timeouts);
    expect((await host.logged('exit code 0')).level).toBe('critical');
    expect(host.workerPid()).toBeUndefined();
  });
});

describe('a function that runs longer than the functionTimeout', () => {
  it('has its worker terminated and replaced, and is answered 500 only later', async () => {
    const host = await startFixture('streaming', {
      environment: hostJson({ functionTimeout: '00:00:01' }),
      timings: { timeoutGraceMs: 100, timeoutAnswerMs: 1_000 },
    });
    const first = host.workerPid();
    const startedAt = performance.now();
    const stuck = host.get('/never').then(async (response) => ({
      status: response.status,
      body: await response.text(),
      tookMs: performance.now() - startedAt,
    }));
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    const other = host.get('/late/60000').then((response) => response.status);
    const stream = await openStream(host);

    await host.logged('Timeout value exceeded');
    await waitUntil(() => host.workerPid() !== undefined && host.workerPid() !== first, 'a worker');
    const served = await host.get('/echo');

    expect(served.status).toBe(200);
    await host.logged('terminate hook ran');
    expect((await stream.rest).endsWith('0\r\n\r\n')).toBe(false);
    expect(await other).toBe(500);
    expect(await stuck).toMatchObject({ status: 500, body: '' });
    expect((await stuck).tookMs).toBeGreaterThan(1_900);
  });

  it('is killed with its worker when the worker cannot terminate', async () => {
    const host = await startFixture('streaming', {
      environment: hostJson({ functionTimeout: '00:00:00.300' }),
      timings: { timeoutGraceMs: 50, timeoutAnswerMs: 50, terminateGraceMs: 100 },
    });
    const first = host.workerPid() ?? 0;

    const stuck = await host.get('/spins');

    expect(stuck.status).toBe(500);
    await waitUntilGone([first]);
    expect((await host.get('/echo')).status).toBe(200);
  });
});

async function openStream(host: FixtureHost): Promise<{ readonly rest: Promise<string> }> {
  const socket = await open(host.port);
  socket.write(requestText('GET /ticks/100000'));
  const rest = readAll(socket);
  await waitUntil(() => socket.bytesRead > 0, 'the first piece of a stream');
  return { rest };
}
