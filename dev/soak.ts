import { parseArgs } from 'node:util';
import { CliError, describeCliError } from './cli-error.ts';
import { buildIfStale } from './faults/fault-environment.ts';
import { runSoak, type SoakFigures } from './soak/run-soak.ts';
import { formatTable } from './table.ts';

/** The promises: see docs/faults.md. */
const MIN_SUCCESS = 0.999;
const MAX_P99_RATIO = 2;
const MAX_HEALTH_MS = 100;
const MAX_TURN_MS = 100;
const MAX_MB_PER_MINUTE = 1;
const BAR_WIDTH = 30;

const OPTIONS = {
  minutes: { type: 'string', default: '10' },
  sessions: { type: 'boolean', default: false },
} as const;

process.exitCode = await main();

/**
 * `npm run soak [-- --minutes 10 --sessions]`: four hostile callers beside four honest ones. Exits with 0 if
 * every promise held, otherwise 1.
 */
async function main(): Promise<number> {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new CliError('Cannot soak: --minutes must be a positive number');
    await buildIfStale();
    const soakMs = minutes * 60_000;
    const figures = await runSoak({
      soakMs,
      quietMs: soakMs / 5,
      hasSessions: values.sessions,
      onProgress: printProgress,
    });
    if (process.stderr.isTTY) process.stderr.write('\n');
    const promises = promisesOf(figures);
    console.log(toTable(figures, promises));
    return promises.every(({ isKept }) => isKept) ? 0 : 1;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

function printProgress(done: number, phase: string): void {
  if (!process.stderr.isTTY) return;
  const filled = Math.round(done * BAR_WIDTH);
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
  process.stderr.write(`\r${phase.padEnd(6)} [${bar}] ${Math.round(done * 100)} % `);
}

interface CheckedPromise {
  readonly name: string;
  readonly promised: string;
  readonly happened: string;
  readonly isKept: boolean;
}

function promisesOf(figures: SoakFigures): readonly CheckedPromise[] {
  const { quiet, soak, memory, longestTurnMs, isWorkerReplaced } = figures;
  const success = 1 - soak.failures.length / soak.requests;
  const ratio = soak.p99 / quiet.p99;
  return [
    {
      name: 'honest requests',
      promised: `>= ${MIN_SUCCESS * 100} % succeed`,
      happened: `${(success * 100).toFixed(2)} % of ${soak.requests}${describe(soak.failures)}`,
      isKept: success >= MIN_SUCCESS,
    },
    {
      name: 'honest p99',
      promised: `<= ${MAX_P99_RATIO} x quiet`,
      happened: `${ms(soak.p99)} beside ${ms(quiet.p99)} quiet, x ${ratio.toFixed(2)} (p50 ${ms(soak.p50)}, ${ms(quiet.p50)})`,
      isKept: ratio <= MAX_P99_RATIO,
    },
    {
      name: '/health',
      promised: `< ${MAX_HEALTH_MS} ms at worst, beyond host and machine`,
      happened: `${ms(soak.addedWorst)}; with the host ${ms(soak.healthWorst)}, p99 ${ms(soak.healthP99)} (quiet ${ms(quiet.addedWorst)}; ${ms(quiet.healthWorst)}, ${ms(quiet.healthP99)})`,
      isKept: soak.addedWorst < MAX_HEALTH_MS,
    },
    {
      name: 'turn of the event loop',
      promised: `< ${MAX_TURN_MS} ms of processor time`,
      happened: `${ms(longestTurnMs)} at worst`,
      isKept: longestTurnMs < MAX_TURN_MS,
    },
    {
      name: 'memory of the worker',
      promised: `<= ${MAX_MB_PER_MINUTE} MB a minute`,
      happened: `${memory.perMinute.toFixed(2)} MB a minute, ${memory.warm.toFixed(0)} to ${memory.last.toFixed(0)} MB; live ${memory.liveBefore.toFixed(0)} before, ${memory.liveAfter.toFixed(0)} MB after`,
      isKept: memory.perMinute <= MAX_MB_PER_MINUTE,
    },
    {
      name: 'workers replaced',
      promised: 'none',
      happened: isWorkerReplaced ? 'the first one is gone' : 'none',
      isKept: !isWorkerReplaced,
    },
  ];
}

function toTable({ hostile }: SoakFigures, promises: readonly CheckedPromise[]): string {
  const rows = promises.map(({ name, promised, happened, isKept }) => [
    name,
    promised,
    happened,
    isKept ? 'pass' : 'FAIL',
  ]);
  const callers = hostile.map(({ name, statuses }) => [
    name,
    statuses.map(([status, count]) => `${count} x ${status || 'no response'}`).join(', '),
  ]);
  return [
    formatTable(['what', 'promised', 'happened', 'result'].map(toColumn), rows),
    formatTable(['hostile caller', 'responses'].map(toColumn), callers),
  ].join('\n\n');
}

function toColumn(heading: string) {
  return { heading };
}

function describe(failures: readonly string[]): string {
  const kinds = [...new Set(failures)].slice(0, 5);
  return kinds.length === 0 ? '' : ` (${kinds.join(', ')})`;
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
