import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostJson, runFixture, startFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { exchange, requestText } from './support/raw-http.ts';

/** How long a call without an answer hangs here: functionTimeout and its grace. */
const HANG_MS = 1_200;

const CASES = [
  ['throws', 'it threw: Error: thrown by the handler'],
  ['nothing', 'it returned nothing'],
  ['nothingAtAll', 'it returned nothing'],
  ['plainText', 'The HTTP response must be an object'],
  ['badStatus', 'RangeError'],
  ['badHeader', 'is an invalid header value'],
  ['wideHeader', 'ByteString'],
] as const;

interface Hang {
  readonly status: number;
  readonly body: string;
  readonly tookMs: number;
}

let host: FixtureHost;
let workerPid: number | undefined;
let hangs: ReadonlyMap<string, Hang>;
beforeAll(async () => {
  host = await runFixture('streaming', {
    environment: hostJson({ functionTimeout: '00:00:01' }),
    timings: { timeoutGraceMs: 200 },
  });
  workerPid = host.workerPid();
  hangs = new Map(
    await Promise.all(CASES.map(async ([name]) => [name, await hang(`/${name}`)] as const)),
  );
});
afterAll(() => host.stop());

async function hang(path: string): Promise<Hang> {
  const startedAt = performance.now();
  const response = await host.get(path);
  const body = await response.text();
  return { status: response.status, body, tookMs: performance.now() - startedAt };
}

describe('a streamed call that the platform leaves without an answer', () => {
  it.each(CASES)(
    'hangs, then gets 500 without a body, and the log has the reason: %s',
    async (name, reason) => {
      expect(hangs.get(name)).toMatchObject({ status: 500, body: '' });
      expect(hangs.get(name)?.tookMs).toBeGreaterThan(HANG_MS * 0.9);
      const line = await host.logged(`'${name}' sends no answer`);
      expect(line.level).toBe('error');
      expect(line.message).toContain(reason);
    },
  );

  it('does not end the worker', () => {
    expect(host.workerPid()).toBe(workerPid);
  });

  it('is truncated when its stream fails', async () => {
    const startedAt = performance.now();

    const answer = await exchange(host.port, requestText('GET /brokenStream'));

    expect(answer).toContain('data: first');
    expect(answer.endsWith('0\r\n\r\n')).toBe(false);
    expect(performance.now() - startedAt).toBeGreaterThan(HANG_MS * 0.9);
    expect((await host.logged("'brokenStream' sends no answer")).message).toContain(
      'the source failed',
    );
  });

  it('hangs no longer than the forwarder waits, whatever the functionTimeout', async () => {
    const impatient = await startFixture('streaming', { timings: { forwardActivityMs: 300 } });

    const [response, broken] = await Promise.all([
      impatient.get('/throws'),
      exchange(impatient.port, requestText('GET /brokenStream')),
    ]);

    expect(response.status).toBe(500);
    expect(broken.endsWith('0\r\n\r\n')).toBe(false);
  });
});
