import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBatchClient, itemLines, waitUntil } from '../../dev/faults/batch-client.ts';
import { requestReport, WORKER_REPORTS } from '../../dev/faults/worker-report.ts';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';
import { startProbe } from './support/probe.ts';

const MIB = 1_048_576;
/** `/health` promises 100 ms, of which one turn of the event loop may take all. */
const MAX_TURN_MS = 100;

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/instant',
    settings: { ...WORKER_REPORTS, FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '220200960' },
  });
});
afterAll(() => environment.stop());

describe('the input of a batch', () => {
  it('T1: an honest file of 200 MB is planned in short turns of the event loop', async () => {
    const worker = environment.host.workerPid();
    const caller = createBatchClient(environment.url, '203.0.113.1');
    const content = itemLines(48_000, (index) => `${index} ${'text '.repeat(840)}`);
    const probe = startProbe(async () => (await fetch(`${environment.url}/health`)).text());

    const { id } = await caller.submit(Buffer.from(content));
    await requestReport(worker, environment.log);
    probe.take();
    let { status } = await caller.client.batches.retrieve(id);
    await waitUntil(async () => {
      ({ status } = await caller.client.batches.retrieve(id));
      return status !== 'validating';
    }, 180_000);
    const health = probe.take();
    const report = await requestReport(worker, environment.log);
    probe.stop();
    await caller.client.batches.cancel(id);

    const figures = JSON.stringify({ health, longestTurnMs: report?.longestTurnMs });
    process.stdout.write(`T1 ${Math.round(content.length / MIB)} MB of items: ${figures}\n`);
    expect(status).toBe('in_progress');
    expect(report?.longestTurnMs ?? 0).toBeLessThan(MAX_TURN_MS);
    expect(environment.host.workerPid()).toBe(worker);
  }, 240_000);
});
