import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  startAzureMonitor,
  type AzureMonitor,
} from '../../shared/telemetry/azure-monitor/start.ts';
import {
  createMetricsRegistry,
  type MetricsRegistry,
} from '../../shared/telemetry/metrics-registry.ts';
import { eventually } from '../e2e/support/post-chat.ts';
import { startIngestion, type Ingestion } from '../support/ingestion.ts';
import { prepareExporter, startObservedService, type ObservedService } from './observed-service.ts';

/** Far more than may wait. */
const RECORDS = 20_000;
const CLOSE_MS = 300;

// Intervals in milliseconds, read by the package when it starts.
process.env['OTEL_BSP_SCHEDULE_DELAY'] = '20';
process.env['OTEL_BLRP_SCHEDULE_DELAY'] = '20';
process.env['OTEL_METRIC_EXPORT_INTERVAL'] = '200';
process.env['OTEL_METRIC_EXPORT_TIMEOUT'] = '200';

let ingestion: Ingestion | undefined;
let observed: ObservedService | undefined;
let monitor: AzureMonitor | undefined;
afterEach(async () => {
  await monitor?.close();
  await observed?.stop();
  await ingestion?.close();
  monitor = undefined;
  observed = undefined;
  ingestion = undefined;
});

const FAULTS: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ['never answers', () => undefined],
  ['hangs up', (response) => response.destroy()],
  [
    'is at its limit for an hour',
    (response) => response.writeHead(429, { 'retry-after': '3600' }).end(),
  ],
  ['fails', (response) => response.writeHead(500).end()],
  ['answers with nonsense', (response) => response.writeHead(200).end('<html>')],
];

function startMonitor(to: Ingestion, timeoutMs = 200): MetricsRegistry {
  prepareExporter();
  const registry = createMetricsRegistry();
  monitor = startAzureMonitor({
    connectionString: to.connectionString,
    transport: to.transport,
    samplingRatio: 1,
    service: { name: 'agent', version: '1', instance: 'one' },
    registry,
    redact: (text) => text,
    liveMetrics: false,
    timeouts: { exportMs: timeoutMs, shutdownMs: CLOSE_MS },
  });
  return registry;
}

describe('Application Insights while it fails (H26)', () => {
  it.each(FAULTS)('answers every chat as ever when it %s', async (_name, answer) => {
    ingestion = await startIngestion({ answer });
    observed = await startObservedService({ ingestion });

    const statuses: unknown[] = [];
    for (let index = 0; index < 20; index += 1) {
      const { status } = await observed.ask({ message: `Hello ${index}` });
      statuses.push(status);
    }

    expect(statuses).toEqual(Array(20).fill(200));
  });

  it.each(FAULTS)('ends within its time when it %s', async (_name, answer) => {
    ingestion = await startIngestion({ answer });
    startMonitor(ingestion);
    monitor?.log({ level: 'info', message: 'something happened', fields: {} });
    const startedAt = performance.now();

    await monitor?.close();

    // Ten times the bound: a machine under load, but no endpoint that is waited for.
    expect(performance.now() - startedAt).toBeLessThan(CLOSE_MS * 10);
  });

  it('ends within its time when no server listens any more', async () => {
    ingestion = await startIngestion();
    startMonitor(ingestion);
    await ingestion.close();
    monitor?.log({ level: 'info', message: 'something happened', fields: {} });

    await expect(monitor?.close()).resolves.toBeUndefined();
  });

  it('keeps only so much while it waits, drops the rest and goes on afterwards', async () => {
    let isLeased = true;
    const held: (() => void)[] = [];
    ingestion = await startIngestion({
      answer(response) {
        const end = (): void => void response.writeHead(500).end();
        if (isLeased) held.push(end);
        else end();
      },
    });
    const registry = startMonitor(ingestion, 60_000);

    for (let index = 0; index < RECORDS; index += 1) {
      monitor?.log({ level: 'info', message: 'something happened', fields: { index } });
      monitor?.tracer.startSpan('work', { kind: 'internal', parent: undefined }).end();
      // A turn of the loop now and then, so that packages can leave.
      if (index % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually('a package is held', () => held.length > 0);
    isLeased = false;
    for (const end of held) end();
    await eventually('a package has ended', () => packagesOf(registry) > 0);
    await monitor?.close();

    const packages = packagesOf(registry);
    // 2,048 of each kind may wait, 512 go into one package; all of them would be 80 packages.
    expect(packages).toBeLessThan(20);
  });
});

/** Packages that ended, well or not. */
function packagesOf(registry: MetricsRegistry): number {
  const exports = registry
    .families()
    .find(({ definition }) => definition.name === 'agent.telemetry.exports');
  return exports?.series.reduce((sum, { value }) => sum + value, 0) ?? 0;
}
