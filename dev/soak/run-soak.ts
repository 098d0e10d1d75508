import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { submitBlankLines } from './hostile-callers.ts';
import { startAzurite } from '../azurite.ts';
import { startChildServer } from '../bench/child-server.ts';
import { readMemoryMb } from '../bench/read-memory.ts';
import { sendRequest } from '../faults/send-request.ts';
import { percentile } from '../faults/steady-load.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { PROJECT_ROOT } from '../project-root.ts';

export interface SoakOptions {
  /** Time without hostile callers, for comparison. */
  readonly quietMs: number;
  readonly soakMs: number;
  /** Called every second with the finished part, from 0 to 1. */
  readonly onProgress: (done: number, phase: string) => void;
}

/** What honest callers and probes saw in one phase. */
export interface PhaseFigures {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly p50: number;
  readonly p99: number;
  readonly healthP99: number;
  readonly healthWorst: number;
  /** The same of a request that the host answers without the app: what machine and host cost. */
  readonly hostP99: number;
  readonly hostWorst: number;
}

export interface SoakFigures {
  readonly quiet: PhaseFigures;
  readonly soak: PhaseFigures;
  /** What the hostile callers got, by status; 0 for no response. */
  readonly hostile: readonly HostileFigures[];
  readonly firstMb: number;
  readonly lastMb: number;
  /** Slope of the worker's resident memory over the last two thirds of the soak, in MB a minute. */
  readonly mbPerMinute: number;
  readonly isWorkerReplaced: boolean;
}

const hostileSchema = z.array(
  z.object({ name: z.string(), statuses: z.array(z.tuple([z.number(), z.number()])) }),
);
export type HostileFigures = z.infer<typeof hostileSchema>[number];

const HONEST_CALLERS = 4;
/** Below the default limit of 60 requests a minute. */
const HONEST_EVERY_MS = 1_100;
const HEALTH_EVERY_MS = 50;
const MEMORY_EVERY_MS = 2_000;

/** Runs the built app with default limits on the local host beside hostile callers. */
export async function runSoak(options: SoakOptions): Promise<SoakFigures> {
  const storage = await startAzurite();
  await prepareStorage(storage.connectionString);
  const model = await startChildServer({ script: 'run-model.ts', input: {} });
  const host = await startChildServer({
    script: 'run-host.ts',
    input: {
      appRoot: PROJECT_ROOT,
      environment: {
        AzureWebJobsStorage: storage.connectionString,
        OPENAI_BASE_URL: model.url,
        OPENAI_API_KEY: 'development',
        OPENAI_MODEL: 'development-model',
      },
    },
  });
  const samples: MemorySample[] = [];
  try {
    await warmUp(host.url);
    const quiet = await observe(host.url, { ...options, ms: options.quietMs, phase: 'quiet' });
    const hostile = await startChildServer({
      script: '../soak/run-hostile.ts',
      input: { url: host.url },
    });
    const over = new AbortController();
    const memory = sampleMemory(host.pid, { samples, signal: over.signal });
    const soak = await observe(host.url, { ...options, ms: options.soakMs, phase: 'soak' });
    over.abort();
    await memory;
    return {
      quiet,
      soak,
      hostile: hostileSchema.parse(await hostile.stop()),
      firstMb: samples[0]?.mb ?? Number.NaN,
      lastMb: samples.at(-1)?.mb ?? Number.NaN,
      mbPerMinute: slopeOf(samples.slice(Math.floor(samples.length / 3))),
      isWorkerReplaced: !isAlive(host.pid),
    };
  } finally {
    await host.stop();
    await model.stop();
    await storage.stop();
  }
}

/** Code that is loaded and compiled with the first use of a route would delay others once. */
async function warmUp(url: string): Promise<void> {
  const address = '192.0.2.1';
  const { signal } = new AbortController();
  for (const mode of ['json', 'stream'] as const) {
    await sendRequest(url, { message: 'Hi', mode, address });
  }
  await submitBlankLines({ url, address, signal });
  await sleep(WARM_UP_MS);
}

/** The batch is planned within it. */
const WARM_UP_MS = 5_000;

interface ObserveOptions extends SoakOptions {
  readonly ms: number;
  readonly phase: string;
}

async function observe(
  url: string,
  { ms, phase, onProgress }: ObserveOptions,
): Promise<PhaseFigures> {
  const over = new AbortController();
  const latencies: number[] = [];
  const failures: string[] = [];
  const health: number[] = [];
  const ping: number[] = [];
  const honest = Array.from({ length: HONEST_CALLERS }, (_, number) =>
    askSteadily(url, { number, latencies, failures, signal: over.signal }),
  );
  const { signal } = over;
  const probes = [
    probe(`${url}/health`, { taken: health, signal }),
    probe(`${url}/admin/host/ping`, { taken: ping, signal }),
  ];
  const startedAt = performance.now();
  for (let done = 0; done < 1; done = (performance.now() - startedAt) / ms) {
    onProgress(done, phase);
    await sleep(Math.min(1_000, ms));
  }
  over.abort();
  await Promise.all([...honest, ...probes]);
  return {
    requests: latencies.length + failures.length,
    failures,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    healthP99: percentile(health, 0.99),
    healthWorst: Math.max(...health),
    hostP99: percentile(ping, 0.99),
    hostWorst: Math.max(...ping),
  };
}

interface HonestCaller {
  readonly number: number;
  readonly latencies: number[];
  readonly failures: string[];
  readonly signal: AbortSignal;
}

/** One honest caller: short chats, whole and streamed in turn. */
async function askSteadily(
  url: string,
  { number, latencies, failures, signal }: HonestCaller,
): Promise<void> {
  const address = `198.51.100.${number + 1}`;
  await sleep((number * HONEST_EVERY_MS) / HONEST_CALLERS);
  for (let sent = 0; !signal.aborted; sent += 1) {
    const mode = sent % 2 === 0 ? 'json' : 'stream';
    const message = `Question ${number} ${sent} ${crypto.randomUUID()}`;
    const startedAt = performance.now();
    const { outcome, ms } = await sendRequest(url, { message, mode, address }).catch(
      (error: unknown) => ({ outcome: String(error), ms: 0 }),
    );
    if (outcome === 'answer') latencies.push(ms);
    else failures.push(outcome);
    const leftMs = Math.max(0, HONEST_EVERY_MS - (performance.now() - startedAt));
    await sleep(leftMs, undefined, { signal }).catch(() => undefined);
  }
}

async function probe(
  url: string,
  { taken, signal }: { readonly taken: number[]; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const startedAt = performance.now();
    const isOk = await fetch(url).then(
      async (response) => {
        await response.arrayBuffer();
        return response.ok;
      },
      () => false,
    );
    taken.push(isOk ? performance.now() - startedAt : Number.POSITIVE_INFINITY);
    await sleep(HEALTH_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

interface MemorySample {
  readonly minutes: number;
  readonly mb: number;
}

async function sampleMemory(
  pid: number,
  { samples, signal }: { readonly samples: MemorySample[]; readonly signal: AbortSignal },
): Promise<void> {
  const startedAt = performance.now();
  while (!signal.aborted) {
    const mb = await readMemoryMb(pid);
    samples.push({ minutes: (performance.now() - startedAt) / 60_000, mb });
    await sleep(MEMORY_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Least squares. */
function slopeOf(samples: readonly MemorySample[]): number {
  const meanX = mean(samples.map(({ minutes }) => minutes));
  const meanY = mean(samples.map(({ mb }) => mb));
  const covariance = samples.map(({ minutes, mb }) => (minutes - meanX) * (mb - meanY));
  const variance = samples.map(({ minutes }) => (minutes - meanX) ** 2);
  return mean(covariance) / mean(variance);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A worker that was replaced has another process id. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
