import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { submitBlankLines } from './hostile-callers.ts';
import { startAzurite } from '../azurite.ts';
import { startChildServer, type ChildServer } from '../bench/child-server.ts';
import { readWaitMs } from '../bench/read-cpu.ts';
import { sendRequest } from '../faults/send-request.ts';
import { percentile } from '../faults/steady-load.ts';
import { reportSchema } from '../faults/worker-report.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { isRunning } from '../processes.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { memoryFigures, type MemoryFigures, type MemorySample, sampleMemory } from './memory.ts';

export interface SoakOptions {
  /** Whether chats are stored. The storage emulator works on one upload or write at a time. */
  readonly hasSessions: boolean;
  /** Time without hostile callers, for comparison: one half before and one half after them. */
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
  /**
   * The longest that `/health` took beyond a request that the host answered at the same moment, and
   * beyond the time that threads of the worker waited for a processor.
   */
  readonly addedWorst: number;
}

export interface SoakFigures {
  readonly quiet: PhaseFigures;
  readonly soak: PhaseFigures;
  /** What the hostile callers got, by status; 0 for no response. */
  readonly hostile: readonly HostileFigures[];
  readonly memory: MemoryFigures;
  /** The longest turn of the worker's event loop in the soak, in ms of processor time. */
  readonly longestTurnMs: number;
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

/** Runs the built app with default limits on the local host beside hostile callers. */
export async function runSoak(options: SoakOptions): Promise<SoakFigures> {
  const storage = await startAzurite();
  await prepareStorage(storage.connectionString);
  const model = await startChildServer({ script: 'run-model.ts', input: {} });
  const host = await startChildServer({
    script: '../soak/run-soak-host.ts',
    input: {
      appRoot: PROJECT_ROOT,
      environment: {
        AGENT__SESSIONS__ENABLED: String(options.hasSessions),
        AzureWebJobsStorage: storage.connectionString,
        OPENAI_BASE_URL: model.url,
        OPENAI_API_KEY: 'development',
        OPENAI_MODEL: 'development-model',
      },
    },
  });
  let phases: Omit<SoakFigures, 'longestTurnMs' | 'memory'> & { samples: readonly MemorySample[] };
  let reports: unknown;
  try {
    await warmUp(host.url);
    phases = await runPhases(host, options);
  } finally {
    reports = await host.stop();
    await model.stop();
    await storage.stop();
  }
  const { samples, ...figures } = phases;
  const [before, after] = z.tuple([reportSchema, reportSchema]).parse(reports);
  return {
    ...figures,
    longestTurnMs: after.longestTurnMs,
    memory: memoryFigures(samples, { before: before.liveBytes, after: after.liveBytes }),
  };
}

async function runPhases(host: ChildServer, options: SoakOptions) {
  const quiet = { ...options, ms: options.quietMs / 2, phase: 'quiet' };
  const before = await observe(host, quiet);
  process.kill(host.pid, 'SIGUSR2');
  const attack = await startChildServer({
    script: '../soak/run-hostile.ts',
    input: { url: host.url },
  });
  const over = new AbortController();
  const sampling = sampleMemory(host.pid, over.signal);
  const soak = await observe(host, { ...options, ms: options.soakMs, phase: 'soak' });
  over.abort();
  const samples = await sampling;
  process.kill(host.pid, 'SIGUSR2');
  const hostile = hostileSchema.parse(await attack.stop());
  const after = await observe(host, quiet);
  return {
    quiet: figuresOf([before, after]),
    soak: figuresOf([soak]),
    hostile,
    samples,
    isWorkerReplaced: !isRunning(host.pid),
  };
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

/** What was seen in one phase, in ms. */
interface Observed {
  readonly latencies: number[];
  readonly failures: string[];
  readonly health: number[];
  readonly added: number[];
}

async function observe(
  { url, pid }: ChildServer,
  { ms, phase, onProgress }: ObserveOptions,
): Promise<Observed> {
  const over = new AbortController();
  const { signal } = over;
  const seen: Observed = { latencies: [], failures: [], health: [], added: [] };
  const honest = Array.from({ length: HONEST_CALLERS }, (_, number) =>
    askSteadily(url, { ...seen, number, signal }),
  );
  const probing = probe(url, { ...seen, pid, signal });
  const startedAt = performance.now();
  for (let done = 0; done < 1; done = (performance.now() - startedAt) / ms) {
    onProgress(done, phase);
    await sleep(Math.min(1_000, ms));
  }
  over.abort();
  await Promise.all([...honest, probing]);
  return seen;
}

function figuresOf(phases: readonly Observed[]): PhaseFigures {
  const latencies = phases.flatMap((phase) => phase.latencies);
  const failures = phases.flatMap((phase) => phase.failures);
  const health = phases.flatMap((phase) => phase.health);
  return {
    requests: latencies.length + failures.length,
    failures,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    healthP99: percentile(health, 0.99),
    healthWorst: Math.max(...health),
    addedWorst: Math.max(...phases.flatMap(({ added }) => added)),
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

interface ProbeOptions extends Pick<Observed, 'health' | 'added'> {
  /** Of the worker. */
  readonly pid: number;
  readonly signal: AbortSignal;
}

/**
 * Requests `/health` and, at the same moment, a path that the host answers without the app. Where
 * the machine stalls, both are late, or threads of the worker wait for a processor; where the app
 * does, `/health` alone is late.
 */
async function probe(url: string, { pid, health, added, signal }: ProbeOptions): Promise<void> {
  while (!signal.aborted) {
    const waitedBefore = await readWaitMs(pid);
    const [app, alone] = await Promise.all([
      timeOf(`${url}/health`),
      timeOf(`${url}/admin/host/ping`),
    ]);
    const waited = (await readWaitMs(pid)) - waitedBefore;
    health.push(app);
    added.push(Math.max(0, app - alone - waited));
    await sleep(HEALTH_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** In ms; infinite for a request that failed. */
async function timeOf(url: string): Promise<number> {
  const startedAt = performance.now();
  const isOk = await fetch(url).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
  return isOk ? performance.now() - startedAt : Number.POSITIVE_INFINITY;
}
