import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';
import { createBatchClient, itemLines } from './support/batch-client.ts';
import { startProbe, type Latencies, type Probe } from './support/probe.ts';

const MIB = 1_048_576;
/** The promise of docs/batch.md: `/health` of other callers while an input is planned. */
const HEALTH_MS = 100;

/** How much slower than an idle app at the same time it may be where the machine is busy. */
const MAX_RATIO = 5;

let environment: TestEnvironment;
/** An app that plans nothing: a busy machine slows down both. */
let idle: TestEnvironment;
beforeAll(async () => {
  [environment, idle] = await Promise.all([
    startEnvironment({
      model: 'dev/instant',
      settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '220200960' },
    }),
    startEnvironment(),
  ]);
  // The first batch also loads and compiles code.
  await plan(itemLines(10, String));
});
afterAll(() => Promise.all([environment.stop(), idle.stop()]));

interface Planned {
  readonly status: string;
  readonly code: string | undefined;
  readonly planning: Latencies;
  /** Of an idle app at the same time. */
  readonly idle: Latencies;
}

function probeHealth({ url }: TestEnvironment): Probe {
  return startProbe(async () => (await fetch(`${url}/health`)).text());
}

function limitMs({ idle }: Planned): number {
  return Math.max(HEALTH_MS, MAX_RATIO * idle.p99);
}

/** Submits an input and measures `/health` until its batch has a plan. */
async function plan(content: string | Uint8Array): Promise<Planned> {
  const probes = [probeHealth(environment), probeHealth(idle)] as const;
  const caller = createBatchClient(environment.url, '203.0.113.1');
  try {
    const { id } = await caller.submit(content);
    for (const probe of probes) probe.take();
    let batch = await caller.client.batches.retrieve(id);
    while (['validating', 'finalizing'].includes(batch.status)) {
      await delay(50);
      batch = await caller.client.batches.retrieve(id);
    }
    const [planning, meanwhile] = [probes[0].take(), probes[1].take()];
    await caller.client.batches.cancel(id).catch(() => undefined);
    const code = batch.errors?.data?.[0]?.code;
    return { status: batch.status, code, planning, idle: meanwhile };
  } finally {
    for (const probe of probes) probe.stop();
  }
}

function report(name: string, { status, code, planning, idle }: Planned): void {
  const figures = JSON.stringify({ planning, idle });
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
      expect(planned.planning.p99).toBeLessThan(limitMs(planned));
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
    expect(planned.planning.p99).toBeLessThan(limitMs(planned));
    expect(environment.host.workerPid()).toBe(before);
  }, 240_000);
});
