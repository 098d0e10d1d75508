import { parseArgs } from 'node:util';
import { CliError, describeCliError } from './cli-error.ts';
import { STEP_HEADINGS, stepCells, writeLoadTable } from './load/load-table.ts';
import { readVersion, runLoad, type LoadResult, type LoadTarget } from './load/run-load.ts';
import { isMain } from './project-root.ts';
import { formatTable } from './table.ts';

const USAGE = `npm run load -- --url URL [--key KEY] [--token TOKEN] [--steps 1,8,32] [--seconds 30] [--max-requests 5000] [--message TEXT] [--markdown]
  --key           a function key, or LOAD_KEY
  --token         an Entra token or a caller key, or LOAD_TOKEN
  --steps         callers at the same time in each step, at most 256
  --seconds       length of a step, at most 600
  --max-requests  requests of all steps together; a real model bills each of them
  --markdown      writes the figures into docs/runbooks/load-test.md
Ends after the first step beyond the capacity: more than 1 % errors or 429, or twice the p99 of the
first step. The exit code is 1 if that is the first step.`;

const MAX_CALLERS = 256;
const MAX_SECONDS = 600;
const BAR_WIDTH = 20;

const OPTIONS = {
  url: { type: 'string' },
  key: { type: 'string' },
  token: { type: 'string' },
  steps: { type: 'string', default: '1,8,32' },
  seconds: { type: 'string', default: '30' },
  'max-requests': { type: 'string', default: '5000' },
  message: { type: 'string', default: 'Answer in one sentence: what is a queue?' },
  markdown: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const url = readUrl(values.url);
  const steps = values.steps.split(',').map((text) => readNumber('--steps', text, MAX_CALLERS));
  const result = await runLoad(createTarget(url, values), {
    steps,
    secondsPerStep: readNumber('--seconds', values.seconds, MAX_SECONDS),
    endsAtLimit: true,
    maxRequests: readNumber('--max-requests', values['max-requests'], Number.MAX_SAFE_INTEGER),
    ...(process.stderr.isTTY && { onProgress: showProgress }),
  });
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
  const headings = STEP_HEADINGS.map((heading) => ({ heading }));
  console.log(`${formatTable(headings, result.steps.map(stepCells))}\n\n${describe(result)}`);
  if (values.markdown) {
    const version = await readVersion(url);
    await writeLoadTable({ where: url.host, version, steps: result.steps });
  }
  return result.limit !== undefined && result.steps.length === 1 ? 1 : 0;
}

function readUrl(text: string | undefined): URL {
  if (text !== undefined && URL.canParse(text)) return new URL(text);
  throw new CliError(`Cannot send load as --url must be an address: ${text ?? 'it is missing'}`);
}

function readNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new CliError(
    `Cannot send load as ${option} must hold whole numbers from 1 to ${max}: ${text}`,
  );
}

interface Credentials {
  readonly key?: string | undefined;
  readonly token?: string | undefined;
  readonly message: string;
}

function createTarget(url: URL, { key, token, message }: Credentials): LoadTarget {
  const functionKey = key ?? process.env['LOAD_KEY'];
  const bearer = token ?? process.env['LOAD_TOKEN'];
  return {
    url: new URL('/api/chat', url).href,
    headers: {
      'content-type': 'application/json',
      // A stored answer would measure the cache.
      'cache-control': 'no-store',
      ...(functionKey !== undefined && { 'x-functions-key': functionKey }),
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    },
    body: () => JSON.stringify({ message: `${message} (${crypto.randomUUID()})` }),
  };
}

/** The capacity is that of the step before the limit. */
function describe({ steps, limit }: LoadResult): string {
  const good = limit === undefined ? steps.at(-1) : steps.at(-2);
  const capacity =
    good === undefined
      ? 'No step was below the capacity'
      : `Capacity: at least ${good.perSecond.toFixed(1)} requests/s with ${good.callers} callers`;
  return limit === undefined ? `${capacity}; no step was beyond it` : `${capacity}; then ${limit}`;
}

function showProgress(done: number, callers: number): void {
  const bar = '#'.repeat(Math.round(done * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  process.stderr.write(`\r\u001B[K[${bar}] ${Math.round(done * 100)} % (${callers} callers)`);
}

if (isMain(import.meta.filename)) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(describeCliError(error));
    process.exitCode = 1;
  }
}
