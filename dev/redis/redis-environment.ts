import { findProgram } from '../find-program.ts';
import { startRedisServer } from './redis-server.ts';
import { startUpstashBridge, type UpstashBridge } from './upstash-bridge.ts';

/** A real Redis with the REST API in front of it. */
export interface RedisEnvironment {
  readonly bridge: UpstashBridge;
  /** Where Redis itself listens. */
  readonly socketPath: string;
  /** Ends Redis; the REST API stays and has nothing to ask. */
  killRedis(): Promise<void>;
  /** Takes back the REST API after `bridge.close()`, at the same address. */
  reopenBridge(): Promise<UpstashBridge>;
  close(): Promise<void>;
}

/** The program that must be installed. */
export const REDIS_PROGRAM = 'redis-server';

/** @throws Error if Redis is not installed */
export async function startRedisEnvironment(): Promise<RedisEnvironment> {
  const program = findProgram([REDIS_PROGRAM]);
  if (program === undefined) throw new Error(`Cannot start ${REDIS_PROGRAM}: it must be installed`);
  const redis = await startRedisServer(program);
  const bridges = [await startUpstashBridge(redis)];
  const [bridge] = bridges;
  if (bridge === undefined) throw new Error('Cannot start without a bridge');
  return {
    bridge,
    socketPath: redis.socketPath,
    killRedis: () => redis.kill(),
    async reopenBridge() {
      const port = Number(new URL(bridge.url).port);
      const reopened = await startUpstashBridge({ socketPath: redis.socketPath, port });
      bridges.push(reopened);
      return reopened;
    },
    async close() {
      await Promise.all(bridges.map((one) => one.close()));
      await redis.close();
    },
  };
}
