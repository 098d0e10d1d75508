import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { median } from './measure-requests.ts';
import type { SpeedRow } from './report.ts';
import { CliError } from '../cli-error.ts';
import { systemClock } from '../../shared/clock.ts';
import {
  createRateLimiter,
  type SharedBuckets,
} from '../../shared/rate-limit/create-rate-limiter.ts';
import {
  createMemoryBuckets,
  policiesOf,
  type RateLimiter,
} from '../../shared/rate-limit/rate-limiter.ts';
import { createRedisBuckets } from '../../shared/rate-limit/redis-bucket-store.ts';
import { createRedisClient } from '../../shared/redis/redis-client.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';

const CAPACITY = 1_000_000_000;
const ROUNDS = { memory: 5_000, redis: 500 } as const;

/**
 * The cost of the limits for one request, in this process and with a Redis that answers at once.
 */
export async function measureLimiter(): Promise<readonly SpeedRow[]> {
  const memory = await measure(limiterOf(undefined), ROUNDS.memory);
  const server = await startStandIn();
  try {
    const redis = await measure(limiterOf(sharedBuckets(server)), ROUNDS.redis);
    return [
      {
        what: 'limits of one request, in the process',
        measured: `${(memory * 1_000).toFixed(0)} us`,
        target: '',
        how: 'requests and tokens, reserved and settled; median',
      },
      {
        what: 'limits of one request, with Redis',
        measured: `${redis.toFixed(2)} ms`,
        target: '',
        how: 'the same, with a stand-in for its REST API on loopback; one wait',
      },
    ];
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

async function measure(limiter: RateLimiter, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = -rounds / 5; round < rounds; round += 1) {
    const startedAt = performance.now();
    const verdict = await limiter.reserve({ callerId: `caller-${round % 100}`, tokens: 1_000 });
    const reservedAt = performance.now();
    if (!verdict.allowed || (limiter.state() === 'ready' && verdict.source === 'fallback')) {
      throw new CliError('Cannot measure the limits as each request must be let in by its store');
    }
    await verdict.reservation.settle(100);
    // With Redis no request waits for the settlement.
    const endAt = verdict.source === 'shared' ? reservedAt : performance.now();
    if (round >= 0) times.push(endAt - startedAt);
  }
  return median(times);
}

function limiterOf(shared: SharedBuckets | undefined): RateLimiter {
  return createRateLimiter({
    policies: policiesOf({
      requestsPerMinute: CAPACITY,
      tokensPerMinute: CAPACITY,
      tokensPerDay: 0,
    }),
    mode: 'enforce',
    localBucketsOf: (policy) =>
      createMemoryBuckets({ ...policy, maxKeys: 1_000, clock: systemClock }),
    shared,
    clock: systemClock,
    telemetry: noopTelemetry,
  });
}

function sharedBuckets(server: Server): SharedBuckets {
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const redis = createRedisClient({ url, token: 'bench', timeoutMs: 5_000 });
  return {
    bucketsOf: (policy) =>
      createRedisBuckets({ ...policy, redis, prefix: 'limits', clock: systemClock }),
    execute: (work) => work(),
    state: () => 'ready',
  };
}

/**
 * A stand-in for Redis: answers every command like the script of a bucket with many tokens left.
 */
async function startStandIn(): Promise<Server> {
  const server = createServer((request, response) => {
    function answer(body: string): void {
      const commands = JSON.parse(body) as unknown[];
      const one = { result: [1, CAPACITY - 1, 60_000, CAPACITY] };
      const isPipeline = request.url !== '/';
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(isPipeline ? commands.map(() => one) : one));
    }
    text(request).then(answer, () => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
