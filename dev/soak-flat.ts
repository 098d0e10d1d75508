import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { startAzurite } from './azurite.ts';
import { startChildServer } from './bench/child-server.ts';
import { CliError, describeCliError } from './cli-error.ts';
import { buildIfStale } from './faults/fault-environment.ts';
import { UNLIMITED } from './faults/settings.ts';
import { percentile } from './faults/steady-load.ts';
import { prepareStorage } from './prepare-storage.ts';
import { PROJECT_ROOT } from './project-root.ts';
import { slopeOf } from './soak/memory.ts';
import { formatTable } from './table.ts';

const PER_SECOND = 20;
/** Of the run: the compiler, pools and caches grow until then. */
const WARM_UP = 1 / 3;
const MAX_MB_PER_MINUTE = 1;
/** Counts differ by what is open at the moment of a sample. */
const TOLERANCE = { share: 0.1, count: 40 };
const BAR_WIDTH = 30;

const sampleSchema = z.object({
  timers: z.number(),
  resources: z.number(),
  listeners: z.number(),
  abortSignals: z.number(),
  emitters: z.number(),
  heapMb: z.number(),
  rssMb: z.number(),
});
type Sample = z.infer<typeof sampleSchema>;
type Count = Exclude<keyof Sample, 'heapMb' | 'rssMb'>;
const COUNTS: readonly Count[] = ['timers', 'resources', 'listeners', 'abortSignals', 'emitters'];

interface Kind {
  readonly path: string;
  readonly body?: (number: number) => object;
  /** The client disconnects at the first byte of the answer. */
  readonly disconnects?: true;
}

const KINDS: readonly Kind[] = [
  { path: '/api/chat', body: (number) => ({ message: `Question ${number}` }) },
  { path: '/api/chat', body: (number) => ({ message: `Question ${number}`, stream: true }) },
  { path: '/api/chat', body: () => ({ message: 'The same question' }) },
  {
    path: '/api/chat',
    body: () => ({ message: 'dev/slow-200 Hi', stream: true }),
    disconnects: true,
  },
  { path: '/api/chat', body: () => ({ text: 'Not a request' }) },
  { path: '/v1/chat/completions', body: (number) => completionOf(number, false) },
  { path: '/v1/chat/completions', body: (number) => completionOf(number, true) },
  { path: '/health' },
];

process.exitCode = await main();

/**
 * `npm run soak:flat [-- --minutes 20]`: 20 requests a second of several kinds. Exits with 0 if the
 * worker holds no more memory, timers and listeners at the end than after its warm-up.
 */
async function main(): Promise<number> {
  try {
    const { values } = parseArgs({ options: { minutes: { type: 'string', default: '20' } } });
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new CliError('Cannot soak: --minutes must be a positive number');
    await buildIfStale();
    const { samples, outcomes } = await soak(minutes);
    if (process.stderr.isTTY) process.stderr.write('\n');
    const rows = toRows(samples, minutes);
    console.log(
      formatTable(
        ['what', 'after warm-up', 'at the end', 'promised', 'result'].map(toColumn),
        rows,
      ),
    );
    console.log(
      `requests: ${[...outcomes].map(([what, count]) => `${count} x ${what}`).join(', ')}`,
    );
    return rows.every((cells) => cells.at(-1) === 'pass') ? 0 : 1;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

function toColumn(heading: string) {
  return { heading };
}

interface SoakResult {
  readonly samples: readonly Sample[];
  readonly outcomes: ReadonlyMap<string, number>;
}

async function soak(minutes: number): Promise<SoakResult> {
  const folder = await mkdtemp(join(tmpdir(), 'soak-flat-'));
  const file = join(folder, 'counts.jsonl');
  await writeFile(file, '');
  const storage = await startAzurite();
  await prepareStorage(storage.connectionString);
  const model = await startChildServer({ script: 'run-model.ts', input: {} });
  const environment = {
    ...UNLIMITED,
    AGENT__CACHE__TTL_SECONDS: '60',
    AzureWebJobsStorage: storage.connectionString,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'development',
    OPENAI_MODEL: 'dev/instant',
    SOAK_COUNTS_FILE: file,
    languageWorkers__node__arguments: `--import=${join(PROJECT_ROOT, 'dev', 'soak', 'count-resources.ts')}`,
  };
  const host = await startChildServer({
    script: 'run-host.ts',
    input: { appRoot: PROJECT_ROOT, environment },
  });
  try {
    const outcomes = await sendFor(host.url, minutes * 60_000);
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    return { outcomes, samples: lines.map((line) => sampleSchema.parse(JSON.parse(line))) };
  } finally {
    await host.stop();
    await model.stop();
    await storage.stop();
    await rm(folder, { recursive: true });
  }
}

/** Sends at a constant rate, without waiting for answers. Returns the number of each outcome. */
async function sendFor(url: string, ms: number): Promise<ReadonlyMap<string, number>> {
  const agent = new Agent({ keepAlive: true });
  const outcomes = new Map<string, number>();
  const pending = new Set<Promise<void>>();
  const startedAt = performance.now();
  for (let number = 0; performance.now() - startedAt < ms; number += 1) {
    const sent = send(url, { number, agent }).then((outcome) => {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      pending.delete(sent);
    });
    pending.add(sent);
    if (number % PER_SECOND === 0) printProgress((performance.now() - startedAt) / ms);
    const dueInMs = startedAt + ((number + 1) * 1_000) / PER_SECOND - performance.now();
    if (dueInMs > 0) await sleep(dueInMs);
  }
  await Promise.all(pending);
  agent.destroy();
  return outcomes;
}

function completionOf(number: number, stream: boolean): object {
  return { model: 'agent', stream, messages: [{ role: 'user', content: `Question ${number}` }] };
}

async function send(
  url: string,
  { number, agent }: { readonly number: number; readonly agent: Agent },
): Promise<string> {
  const { path, body, disconnects } = KINDS[number % KINDS.length] ?? { path: '/health' };
  const text = body === undefined ? undefined : JSON.stringify(body(number));
  const call = request(url + path, {
    method: text === undefined ? 'GET' : 'POST',
    agent,
    headers:
      text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
  });
  call.end(text);
  try {
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    if (disconnects === true) {
      await once(response, 'data');
      call.destroy();
      return 'disconnected';
    }
    response.resume();
    await once(response, 'end');
    return `${response.statusCode} ${path}`;
  } catch {
    return `no answer ${path}`;
  }
}

function printProgress(done: number): void {
  if (!process.stderr.isTTY) return;
  const bar = '#'.repeat(Math.round(done * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  process.stderr.write(`\r[${bar}] ${Math.round(done * 100)} % `);
}

function toRows(all: readonly Sample[], minutes: number): string[][] {
  const step = minutes / all.length;
  const samples = all.slice(Math.floor(all.length * WARM_UP));
  if (samples.length < 6)
    throw new CliError('Cannot judge so short a run: use --minutes 2 or more');
  const third = Math.floor(samples.length / 3);
  const first = samples.slice(0, third);
  const last = samples.slice(-third);
  return [
    ...(['rssMb', 'heapMb'] as const).map((name) => {
      const slope = slopeOf(
        samples.map((one, index) => ({ minutes: index * step, mb: one[name] })),
      );
      const [before, after] = [first, last].map((part) => middle(part, name).toFixed(1));
      const what = name === 'rssMb' ? 'resident memory' : 'heap after collection';
      const promised = `<= ${MAX_MB_PER_MINUTE} MB a minute`;
      const isKept = slope <= MAX_MB_PER_MINUTE;
      return [
        `${what}, ${slope.toFixed(2)} MB a minute`,
        `${before} MB`,
        `${after} MB`,
        promised,
        verdict(isKept),
      ];
    }),
    ...COUNTS.map((name) => {
      const before = middle(first, name);
      const after = middle(last, name);
      const most = before * (1 + TOLERANCE.share) + TOLERANCE.count;
      return [name, String(before), String(after), `<= ${most.toFixed(0)}`, verdict(after <= most)];
    }),
  ];
}

function middle(samples: readonly Sample[], name: keyof Sample): number {
  return percentile(
    samples.map((one) => one[name]),
    0.5,
  );
}

function verdict(isKept: boolean): string {
  return isKept ? 'pass' : 'FAIL';
}
