import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { CliError } from '../cli-error.ts';
import { median } from './measure-requests.ts';
import { readCpuUs } from './read-cpu.ts';

/** One kind of request to one server. */
export interface MeasuredRequest {
  readonly name: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined for a GET. */
  readonly body: string | undefined;
  /** The process whose CPU time is measured. */
  readonly pid: number;
}

export interface CostRounds {
  readonly rounds: number;
  /** Requests of each kind in each round. */
  readonly requests: number;
  readonly lanes: number;
  /** Pause after each request of a lane, in milliseconds. */
  readonly gapMs: number;
}

/** CPU time of one request in microseconds, by kind, in each round. */
export type Costs = ReadonlyMap<string, readonly number[]>;

/**
 * Measures the CPU time of one request, all threads of the process included. The kinds take
 * turns, so the ratio of two within one round says more than their times: other work on the machine
 * slows both.
 */
export async function measureCost(
  kinds: readonly MeasuredRequest[],
  { rounds, ...load }: CostRounds,
): Promise<Costs> {
  const seen = new Map(kinds.map(({ name }) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round += 1) {
    for (const kind of kinds) {
      const costUs = await measureOnce(kind, load);
      // The first round warms up.
      if (round >= 0) seen.get(kind.name)?.push(costUs);
    }
  }
  return seen;
}

/** The median of the ratios of two kinds in the same round; NaN if one was not measured. */
export function ratioOf(costs: Costs, { of, to }: { readonly of: string; readonly to: string }) {
  const base = costs.get(to) ?? [];
  const ratios = (costs.get(of) ?? []).map((cost, round) => cost / (base[round] ?? Number.NaN));
  return ratios.length === 0 ? Number.NaN : median(ratios);
}

async function measureOnce(
  kind: MeasuredRequest,
  { requests, lanes, gapMs }: Omit<CostRounds, 'rounds'>,
): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: lanes });
  const before = await readCpuUs(kind.pid);
  let started = 0;
  async function runLane(): Promise<void> {
    while (started < requests) {
      started += 1;
      await send(kind, agent);
      if (gapMs > 0) await sleep(gapMs);
    }
  }
  await Promise.all(Array.from({ length: lanes }, runLane));
  const costUs = (await readCpuUs(kind.pid)) - before;
  agent.destroy();
  return costUs / requests;
}

function send({ name, url, headers, body }: MeasuredRequest, agent: Agent): Promise<void> {
  const method = body === undefined ? 'GET' : 'POST';
  const length = { 'content-length': String(Buffer.byteLength(body ?? '')) };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const options = {
    method,
    agent,
    headers: body === undefined ? headers : { ...headers, ...length },
  };
  const call = request(url, options, (response) => {
    response.resume();
    response.on('error', reject);
    response.on('end', () => {
      if (response.statusCode === 200) resolve();
      else reject(new CliError(`Cannot measure ${name}: it answers ${response.statusCode}`));
    });
  });
  call.on('error', reject);
  call.end(body);
  return promise;
}
