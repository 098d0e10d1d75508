import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { open, readAll, requestText } from './support/raw-http.ts';
import { waitUntil } from './support/wait-until.ts';

const countsSchema = z.object({
  pulled: z.number(),
  aborted: z.number(),
  waiting: z.number(),
});

const drainSchema = z.object({ outstandingInvocations: z.number() });

/** A hundred megabytes, of which the host may hold a few on their way. */
const CHUNKS = 1_600;
const MEGABYTES_HELD = 16;

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming');
});
afterAll(() => host.stop());

async function counts(): Promise<z.infer<typeof countsSchema>> {
  return countsSchema.parse(await (await host.get('/counts')).json());
}

async function outstanding(): Promise<number> {
  const status: unknown = await (await host.get('/admin/host/drain/status')).json();
  return drainSchema.parse(status).outstandingInvocations;
}

describe('a streamed response whose client disconnects or waits', () => {
  it('ends for the worker when the client disconnects', async () => {
    const before = (await counts()).aborted;
    const leaving = new AbortController();
    const response = await host.get('/ticks/10000', { signal: leaving.signal });
    await response.body?.getReader().read();

    leaving.abort();

    await waitUntil(async () => (await counts()).aborted > before, 'an abort in the worker');
  });

  it('still reaches the worker when the client disconnects before the response', async () => {
    const before = (await counts()).aborted;
    const socket = await open(host.port);
    socket.write(requestText('GET /late/60000'));

    await waitUntil(() => socket.bytesWritten > 0, 'bytes sent');
    socket.destroy();

    await waitUntil(async () => (await counts()).aborted > before, 'an abort in the worker');
  });

  it('is not logged as an error when its function fails because the client disconnected', async () => {
    const socket = await open(host.port);
    socket.write(requestText('GET /failsWhenLeft'));
    await waitUntil(async () => (await counts()).waiting === 1, 'the function to run');

    socket.destroy();

    await waitUntil(async () => (await counts()).waiting === 0, 'the function to fail');
    await host.get('/echo');
    expect(host.lines.filter(({ message }) => message.includes("'failsWhenLeft'"))).toEqual([]);
  });

  it('leaves no open call when a hundred clients disconnect at once', async () => {
    const before = await outstanding();
    const sockets = await Promise.all(Array.from({ length: 100 }, () => open(host.port)));
    for (const socket of sockets) socket.write(requestText('GET /echo'));

    for (const socket of sockets) socket.destroy();

    await waitUntil(async () => (await outstanding()) <= before, 'no call outstanding');
  });

  it('is not read ahead by the host when the client does not read', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const socket = await open(host.port);
    socket.pause();
    socket.write(requestText(`GET /large/${CHUNKS}`));

    // The library pulls everything at once and keeps it in the worker; the host must not.
    await waitUntil(async () => (await counts()).pulled >= CHUNKS, 'all chunks pulled');
    const held = await settledMemory();
    const answer = readAll(socket);
    socket.resume();

    expect(held - before).toBeLessThan(MEGABYTES_HELD * 1024 * 1024);
    expect((await answer).length).toBeGreaterThan(CHUNKS * 64 * 1024);
  });
});

/** What the process of the host holds in buffers once that has stopped growing. */
async function settledMemory(): Promise<number> {
  const seen: number[] = [];
  return waitUntil(() => {
    seen.push(process.memoryUsage().arrayBuffers);
    const last = seen.slice(-20);
    return last.length === 20 && Math.max(...last) - Math.min(...last) < 1024 * 1024
      ? seen.at(-1)
      : undefined;
  }, 'memory that no longer grows');
}
