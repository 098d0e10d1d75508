import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCompetitors, type Competitor } from './bench/competitors.ts';
import { startCostKinds, type CostOptions } from './bench/cost-kinds.ts';
import { measureCosts, toCostRows, type CostFigures } from './bench/cost-rows.ts';
import { compareToLast } from './bench/figures.ts';
import { measureBatch } from './bench/measure-batch.ts';
import { measureCache } from './bench/measure-cache.ts';
import { measureClients } from './bench/measure-clients.ts';
import { measureFirstAnswer } from './bench/measure-first-answer.ts';
import { measureGuardrails } from './bench/measure-guardrails.ts';
import { measureLimiter } from './bench/measure-limiter.ts';
import {
  measureCloudLoading,
  measureLoading,
  measureZip,
  type LoadFigures,
} from './bench/measure-package.ts';
import { measureLoad, measureSingles, median, type Rounds } from './bench/measure-requests.ts';
import { readMemoryMb } from './bench/read-memory.ts';
import { toTextTable, type SpeedRow } from './bench/report.ts';
import { toSpeedRows, type ByName } from './bench/speed-rows.ts';
import { writePage } from './bench/write-page.ts';
import { percentile } from './faults/steady-load.ts';
import { CliError, describeCliError } from './cli-error.ts';
import { writeLoadTable, type Measurement } from './load/load-table.ts';
import { readVersion, runLoad } from './load/run-load.ts';
import { PROJECT_ROOT } from './project-root.ts';

const ROUNDS: Rounds = { loadRounds: 3, loadSeconds: 3, singles: 400, streams: 150 };
const CALLERS = [1, 8, 32];
const EMPTY: LoadFigures = { ms: Number.NaN, memoryMb: Number.NaN };

process.exitCode = await main();

/**
 * `npm run bench [-- --write --portkey --no-batch]`: exits with 0 if every target is met, otherwise
 * 1. With `--cost` it only measures the CPU time of requests, with `--only TEXT` that of some kinds,
 * and with `--baseline FOLDER` also that of the built package of another checkout.
 */
async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      allowNegative: true,
      options: {
        write: { type: 'boolean', default: false },
        portkey: { type: 'boolean', default: false },
        batch: { type: 'boolean', default: true },
        cost: { type: 'boolean', default: false },
        baseline: { type: 'string' },
        only: { type: 'string' },
      },
    });
    const costs = await measureCostsOf(values);
    if (values.cost) return print(toCostRows(costs));
    const { figures, load } = await compare(values.portkey);
    announce('cache and limits');
    const ofCaller = [await measureCache(ROUNDS), ...(await measureLimiter())];
    announce('CPU of model calls');
    const ofClients = [...(await measureClients()), ...(await measureGuardrails())];
    announce('loading the package');
    const dist = join(PROJECT_ROOT, 'dist');
    const bare = join(PROJECT_ROOT, 'dev', 'bench', 'pass-through');
    const [ours = EMPTY, bareApp = EMPTY] = await measureLoading([dist, bare]);
    const cloud = await measureCloudLoading(dist);
    if (values.batch) announce('a batch of 1,000 items');
    const batch = values.batch ? await measureBatch() : undefined;
    const zipBytes = await measureZip(dist);
    const ofService = toSpeedRows({ figures, ours, cloud, bareApp, zipBytes, batch });
    const firstAnswer = await measureFirstAnswer();
    const all = [...toCostRows(costs), firstAnswer, ...ofService, ...ofCaller, ...ofClients];
    const rows = await compareToLast(all);
    if (values.write) {
      await writePage(rows, { figures, costs: costs.busy });
      await writeLoadTable({ where: 'bench', ...load });
    }
    return print(rows);
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

/** Prints the rows. Returns the exit code. */
function print(rows: readonly SpeedRow[]): number {
  console.log(`\n${toTextTable(rows)}`);
  return rows.some(({ isMet }) => isMet === false) ? 1 : 0;
}

/** The CPU time of requests, before other measurements have warmed up some of the servers. */
async function measureCostsOf(
  options: CostOptions & { readonly portkey: boolean },
): Promise<CostFigures> {
  const competitors = await startCompetitors(options);
  try {
    announce('CPU time of requests');
    const costKinds = await startCostKinds(competitors, options);
    try {
      return await measureCosts(costKinds.kinds);
    } finally {
      await costKinds.stop();
    }
  } finally {
    await competitors.stop();
  }
}

interface Compared {
  readonly figures: ByName;
  readonly load: Pick<Measurement, 'version' | 'steps'>;
}

/** The table of the load test, for the app alone. */
async function measureSteps(all: readonly Competitor[]): Promise<Compared['load']> {
  const chat = all.find(({ name }) => name === 'chat');
  if (chat === undefined) throw new CliError('Cannot measure without the competitor chat');
  const { url, headers } = chat;
  announce(`callers: ${CALLERS.join(', ')}`);
  const { steps } = await runLoad(
    { url, headers, body: () => chat.body(false) },
    { steps: CALLERS, secondsPerStep: ROUNDS.loadSeconds, maxRequests: 1e6, endsAtLimit: false },
  );
  return { version: await readVersion(new URL(url)), steps };
}

/** Measures the requests of all competitors in one run. */
async function compare(portkey: boolean): Promise<Compared> {
  const competitors = await startCompetitors({ portkey });
  try {
    const { all } = competitors;
    announce(`one request at a time: ${all.map(({ name }) => name).join(', ')}`);
    const singles = await measureSingles(all, { count: ROUNDS.singles, stream: false });
    announce('first tokens of streams');
    // The other gateway rejects the streams of the development model.
    const streaming = all.filter(({ name }) => name !== 'portkey');
    const streams = await measureSingles(streaming, { count: ROUNDS.streams, stream: true });
    announce('32 connections');
    const loads = await measureLoad(all, ROUNDS);
    const figures: ByName = {};
    for (const [competitor, load] of loads) {
      const times = timesOf(singles, competitor);
      figures[competitor.name] = {
        ...load,
        p50At1: median(times),
        p99At1: percentile(times, 0.99),
        firstTokenMs: median(timesOf(streams, competitor)),
        memoryMb: await readMemoryMb(competitor.pid),
      };
    }
    return { figures, load: await measureSteps(all) };
  } finally {
    await competitors.stop();
  }
}

function timesOf(
  times: ReadonlyMap<Competitor, readonly number[]>,
  competitor: Competitor,
): readonly number[] {
  return times.get(competitor) ?? [];
}

function announce(step: string): void {
  console.log(`measuring: ${step}`);
}
