import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';
import { createBatchClient, itemLines } from './support/batch-client.ts';
import { startProbe, type Latencies } from './support/probe.ts';

const MIB = 1_048_576;
/** The promise of docs/batch.md: `/health` of other callers while an input is planned. */
const HEALTH_MS = 100;

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/instant',
    settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '220200960' },
  });
});
afterAll(() => environment.stop());

interface Planned {
  readonly status: string;
  readonly code: string | undefined;
  readonly quiet: Latencies;
  readonly planning: Latencies;
}

/** Submits an input and measures `/health` until its batch has a plan. */
async function plan(content: string | Uint8Array): Promise<Planned> {
  const health = startProbe(async () => (await fetch(`${environment.url}/health`)).text());
  const caller = createBatchClient(environment.url, '203.0.113.1');
  try {
    await delay(500);
    const quiet = health.take();
    const { id } = await caller.submit(content);
    health.take();
    let batch = await caller.client.batches.retrieve(id);
    while (['validating', 'finalizing'].includes(batch.status)) {
      await delay(50);
      batch = await caller.client.batches.retrieve(id);
    }
    const planning = health.take();
    await caller.client.batches.cancel(id).catch(() => undefined);
    return { status: batch.status, code: batch.errors?.data?.[0]?.code, quiet, planning };
  } finally {
    health.stop();
  }
}

function report(name: string, { status, code, quiet, planning }: Planned): void {
  const figures = JSON.stringify({ quiet, planning });
  process.stdout.write(`T1 ${name}: ${status} ${code ?? ''}; /health in ms ${figures}\n`);
}

describe('the input of a batch', () => {
  it.each([3, 60])(
    'T1: %i MB of line feeds are rejected and delay no other caller',
    async (megabytes) => {
      const before = environment.host.workerPid();

      const planned = await plan(Buffer.alloc(megabytes * MIB, '\n'));

      report(`${megabytes} MB of line feeds`, planned);
      expect(planned).toMatchObject({ status: 'failed', code: 'too_many_blank_lines' });
      expect(planned.planning.p99).toBeLessThan(HEALTH_MS);
      expect(environment.host.workerPid()).toBe(before);
    },
    120_000,
  );

  it('T1: an honest file of 200 MB is planned and delays no other caller', async () => {
    const before = environment.host.workerPid();
    const content = itemLines(48_000, (index) => `${index} ${'text '.repeat(840)}`);

    const planned = await plan(Buffer.from(content));

    report(`${Math.round(content.length / MIB)} MB of items`, planned);
    expect(planned.status).not.toBe('failed');
    expect(planned.planning.p99).toBeLessThan(HEALTH_MS);
    expect(environment.host.workerPid()).toBe(before);
  }, 240_000);
});
