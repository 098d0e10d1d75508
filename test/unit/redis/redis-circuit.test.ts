import { describe, expect, it } from 'vitest';
import { createRedisCircuit, type RedisCircuit } from '../../../shared/redis/redis-circuit.ts';
import { createHandClock, type HandClock } from '../../support/limits.ts';
import {
  createRecordedTelemetry,
  type RecordedTelemetry,
} from '../../support/recorded-telemetry.ts';

interface TestEnvironment {
  readonly guard: RedisCircuit;
  readonly clock: HandClock;
  readonly telemetry: RecordedTelemetry;
  readonly pings: PromiseWithResolvers<unknown>[];
}

function createEnvironment(budgetMs = 10_000): TestEnvironment {
  const clock = createHandClock();
  const telemetry = createRecordedTelemetry();
  const pings: PromiseWithResolvers<unknown>[] = [];
  const guard = createRedisCircuit({
    ping() {
      const ping = Promise.withResolvers<unknown>();
      pings.push(ping);
      return ping.promise;
    },
    budgetMs,
    retryAfterMs: 2_000,
    logIntervalMs: 60_000,
    clock,
    telemetry,
  });
  return { guard, clock, telemetry, pings };
}

const fails = async (): Promise<never> => {
  throw new Error('the secret command');
};
const works = async (): Promise<string> => 'worked';

describe('the guard in front of Redis', () => {
  it('passes on what Redis says', async () => {
    const { guard } = createEnvironment();

    expect(await guard.run(works)).toBe('worked');
    expect(guard.state()).toBe('ready');
  });

  it('R2 gives up when the budget is over, and does no work from then on', async () => {
    const { guard } = createEnvironment(20);
    let calls = 0;
    const hangs = (): Promise<never> => {
      calls += 1;
      return new Promise(() => undefined);
    };

    await expect(guard.run(hangs)).rejects.toThrow('Redis did not answer in time');
    await expect(guard.run(hangs)).rejects.toThrow('Redis is left alone after a failure');

    expect(calls).toBe(1);
    expect(guard.state()).toBe('away');
  });

  it('finds out in the background, with one ping at a time, whether Redis is back', async () => {
    const { guard, clock, pings } = createEnvironment();
    await expect(guard.run(fails)).rejects.toThrow();
    clock.advance(2_000);

    const whileProbing = await Promise.allSettled([guard.run(works), guard.run(works)]);
    const probes = pings.length;
    pings[0]?.resolve('PONG');
    await expect.poll(() => guard.run(works).catch(() => 'away')).toBe('worked');

    expect(whileProbing.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(probes).toBe(1);
  });

  it('leaves Redis alone for another while when the ping fails', async () => {
    const { guard, clock, pings } = createEnvironment();
    await expect(guard.run(fails)).rejects.toThrow();
    clock.advance(2_000);
    await expect(guard.run(works)).rejects.toThrow();
    pings[0]?.reject(new Error('still away'));
    await pings[0]?.promise.catch(() => undefined);

    await expect(guard.run(works)).rejects.toThrow();
    clock.advance(2_000);
    await expect.poll(() => guard.run(works).catch(() => pings.length)).toBe(2);
  });

  it('finds out without traffic, when readiness asks', async () => {
    const { guard, clock, pings } = createEnvironment();
    await expect(guard.run(fails)).rejects.toThrow();
    clock.advance(4_000);

    const before = guard.state();
    pings[0]?.resolve('PONG');
    await expect.poll(() => guard.state()).toBe('ready');

    expect(before).toBe('away');
  });

  it('still says away when Redis answers pings and refuses the commands', async () => {
    const { guard, clock, pings } = createEnvironment();
    for (let round = 0; round < 3; round += 1) {
      await expect(guard.run(fails)).rejects.toThrow('the secret command');
      clock.advance(2_000);
      guard.state();
      pings[round]?.resolve('PONG');
      await new Promise(setImmediate);
    }

    expect(guard.state()).toBe('away');
  });

  it('R3 says once a minute that Redis fails, and nothing of what was sent', async () => {
    const { guard, clock, telemetry, pings } = createEnvironment();
    for (let second = 0; second < 119; second += 1) {
      await guard.run(fails).catch(() => undefined);
      clock.advance(1_000);
      guard.state();
      for (const ping of pings.splice(0)) ping.resolve('PONG');
      await new Promise(setImmediate);
    }

    expect(telemetry.lines.map(({ message }) => message)).toEqual(['redis failed', 'redis failed']);
    expect(JSON.stringify(telemetry.lines)).not.toContain('secret');
  });

  it('says that Redis is back once a call has succeeded', async () => {
    const { guard, clock, telemetry, pings } = createEnvironment();
    await guard.run(fails).catch(() => undefined);
    clock.advance(2_000);
    guard.state();
    pings[0]?.resolve('PONG');
    await expect.poll(() => guard.run(works).catch(() => 'away')).toBe('worked');
    await guard.run(works);

    expect(telemetry.at('info').map(({ message }) => message)).toEqual(['redis is back']);
  });

  it('does not leave Redis alone for a key that holds another type', async () => {
    const { guard } = createEnvironment();
    const wrongType = async (): Promise<never> => {
      throw new Error('Command failed: WRONGTYPE Operation against a key');
    };

    await expect(guard.run(wrongType)).rejects.toThrow('WRONGTYPE');

    expect(await guard.run(works)).toBe('worked');
  });
});
