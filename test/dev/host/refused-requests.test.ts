import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostJson, runFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { exchange, open, requestText } from './support/raw-http.ts';
import { waitUntil } from './support/wait-until.ts';

/** How long a request hangs here until its worker is replaced: functionTimeout and its grace. */
const HANG_MS = 1_200;

const REFUSED = "the library's HTTP server in the worker refuses it";

const CASES = [
  ['headers over 16 KB together', [`X-Large: ${'x'.repeat(17_000)}`], REFUSED],
  ['an expectation that is not known', ['Expect: foo'], REFUSED],
  ['a control character in a header value', ['X-Name: a\x01b'], REFUSED],
  ['a delete character in a header value', ['X-Name: a\x7fb'], REFUSED],
  ['a header name that is no token', ['x-a;: b'], REFUSED],
  ['an invocation id of the client', ['x-ms-invocation-id: mine'], 'x-ms-invocation-id'],
  ['UTF-8 outside ASCII in a header value', ['X-Name: Andr\xc3\xa9'], 'is not ASCII'],
] as const;

interface Hang {
  readonly answer: string;
  readonly tookMs: number;
}

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming', {
    environment: hostJson({ functionTimeout: '00:00:01' }),
    timings: { timeoutGraceMs: 200, timeoutAnswerMs: 300, restartIntervalMs: 100 },
  });
});
afterAll(() => host.stop());

function currentWorker(): Promise<number> {
  return waitUntil(() => host.workerPid(), 'a worker');
}

async function hang(headers: readonly string[]): Promise<Hang> {
  const startedAt = performance.now();
  const answer = await exchange(
    host.port,
    Buffer.from(requestText('GET /echo', headers), 'latin1'),
  );
  return { answer, tookMs: performance.now() - startedAt };
}

describe('a request that never reaches its function', () => {
  it.each(CASES)(
    'hangs, ends the worker with its other calls, and the log has the reason: %s',
    async (_what, headers, reason) => {
      const worker = await currentWorker();
      const neighbour = host.get('/late/60000');
      const { length } = host.lines;

      const { answer, tookMs } = await hang(headers);

      expect(answer.split(' ')[1]).toBe('500');
      expect(tookMs).toBeGreaterThan(HANG_MS * 0.9);
      expect((await neighbour).status).toBe(500);
      expect(await currentWorker()).not.toBe(worker);
      const lines = host.lines.slice(length).map(({ message }) => message);
      expect(lines.find((line) => line.includes('the worker is replaced with all'))).toContain(
        reason,
      );
    },
  );

  it('ends the worker also when its client has disconnected', async () => {
    const worker = await currentWorker();
    const socket = await open(host.port);

    socket.write(requestText('GET /echo', ['Expect: foo']));
    await waitUntil(() => socket.bytesWritten > 0, 'bytes sent');
    socket.destroy();

    await waitUntil(() => host.workerPid() !== worker && host.workerPid(), 'another worker');
  });

  it('ends the worker at once when the id that its client sent is the name of an event', async () => {
    const worker = await currentWorker();

    const { answer } = await hang(['x-ms-invocation-id: error']);

    expect(answer.split(' ')[1]).toBe('500');
    expect((await host.logged('Uncaught exception in the worker')).message).toContain('error');
    expect(await currentWorker()).not.toBe(worker);
  });

  it('is none whose headers have 15 KB together', async () => {
    const { answer } = await hang([`X-Large: ${'x'.repeat(15_000)}`]);

    expect(answer.split(' ')[1]).toBe('200');
  });
});
