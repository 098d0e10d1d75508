import { Agent, request } from 'node:http';
import autocannon, { type Result } from 'autocannon';
import { percentile } from '../faults/steady-load.ts';
import { CliError } from '../cli-error.ts';
import type { Competitor } from './competitors.ts';

/** The results of one competitor in one run; times in milliseconds. */
export interface Figures {
  readonly perSecond: number;
  readonly p50At32: number;
  readonly p99At32: number;
  readonly p50At1: number;
  readonly p99At1: number;
  readonly firstTokenMs: number;
  readonly memoryMb: number;
}

export interface Rounds {
  readonly loadRounds: number;
  readonly loadSeconds: number;
  /** Number of sequential requests to each competitor. */
  readonly singles: number;
  readonly streams: number;
}

const CONNECTIONS = 32;
const WARM_UP_SECONDS = 1;

/**
 * Concurrent requests, interleaved: if the machine slows down for a while, it slows all of them
 * down.
 */
export async function measureLoad(
  competitors: readonly Competitor[],
  { loadRounds, loadSeconds }: Rounds,
): Promise<Map<Competitor, Pick<Figures, 'perSecond' | 'p50At32' | 'p99At32'>>> {
  for (const competitor of competitors) await load(competitor, WARM_UP_SECONDS);
  const results = new Map(competitors.map((one) => [one, [] as Result[]]));
  for (let round = 0; round < loadRounds; round += 1) {
    for (const [competitor, list] of results) list.push(await load(competitor, loadSeconds));
  }
  return new Map(
    [...results].map(([competitor, list]) => [
      competitor,
      {
        perSecond: median(list.map((one) => one['2xx'] / one.duration)),
        p50At32: median(list.map((one) => one.latency.p50)),
        p99At32: median(list.map((one) => one.latency.p99)),
      },
    ]),
  );
}

async function load(competitor: Competitor, seconds: number): Promise<Result> {
  const { name, url, headers } = competitor;
  const options = { url, method: 'POST', headers, body: competitor.body(false) } as const;
  const result = await autocannon({ ...options, connections: CONNECTIONS, duration: seconds });
  if (result.non2xx + result.errors === 0) return result;
  throw new CliError(
    `Cannot measure ${name} as each request must be answered: ${result.non2xx} refused, ${result.errors} failed`,
  );
}

/** Sequential requests, interleaved, so that a pair is measured within a few milliseconds. */
export async function measureSingles(
  competitors: readonly Competitor[],
  { count, stream }: { readonly count: number; readonly stream: boolean },
): Promise<Map<Competitor, readonly number[]>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times = new Map(competitors.map((one) => [one, [] as number[]]));
  const warmUp = Math.ceil(count / 5);
  for (let round = -warmUp; round < count; round += 1) {
    for (const [competitor, list] of times) {
      const ms = await requestOnce(competitor, { agent, stream });
      if (round >= 0) list.push(ms);
    }
  }
  agent.destroy();
  return times;
}

/** Milliseconds to the end of a response, or to the first token of a stream. */
function requestOnce(
  competitor: Competitor,
  { agent, stream }: { readonly agent: Agent; readonly stream: boolean },
): Promise<number> {
  const body = competitor.body(stream);
  const length = String(Buffer.byteLength(body));
  const headers = { ...competitor.headers, 'content-length': length };
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const call = request(competitor.url, { method: 'POST', agent, headers }, (response) => {
      let firstTokenAt: number | undefined;
      let text = '';
      response.on('data', (chunk: Buffer) => {
        if (!stream || firstTokenAt !== undefined) return;
        text += chunk.toString('latin1');
        if (/event: delta|"content":\s*"[^"]/.test(text)) firstTokenAt = performance.now();
      });
      response.on('error', reject);
      response.on('end', () => {
        const endAt = stream ? firstTokenAt : performance.now();
        if (response.statusCode === 200 && endAt !== undefined) resolve(endAt - startedAt);
        else reject(new CliError(`Cannot measure ${competitor.name}: no answer came`));
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}
