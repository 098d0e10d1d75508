import { describe, expect, it } from 'vitest';
import { createRedisCircuit, type RedisCircuit } from '../../../shared/redis/redis-circuit.ts';
import { createHandClock, type HandClock } from '../../support/limits.ts';
import {
  createRecordedTelemetry,
  type RecordedTelemetry,
} from '../../support/recorded-telemetry.ts';

interface TestEnvironment {
  readonly circuit: RedisCircuit;
  readonly clock: HandClock;
  readonly telemetry: RecordedTelemetry;
  readonly pings: PromiseWithResolvers<unknown>[];
}

function createEnvironment(timeoutMs = 10_000): TestEnvironment {
  const clock = createHandClock();
  const telemetry = createRecordedTelemetry();
  const pings: PromiseWithResolvers<unknown>[] = [];
  const circuit = createRedisCircuit({
    ping() {
      const ping = Promise.withResolvers<unknown>();
      pings.push(ping);
      return ping.promise;
    },
    timeoutMs,
    retryAfterMs: 2_000,
    logIntervalMs: 60_000,
    clock,
    telemetry,
  });
  return { circuit, clock, telemetry, pings };
}

const fails = async (): Promise<never> => {
  throw new Error('the secret command');
};
const works = async (): Promise<string> => 'worked';

describe('the circuit in front of Redis', () => {
  it('returns the result of a command', async () => {
    const { circuit } = createEnvironment();

    expect(await circuit.execute(works)).toBe('worked');
    expect(circuit.state()).toBe('ready');
  });

  it('R2 times out, then skips commands', async () => {
    const { circuit } = createEnvironment(20);
    let calls = 0;
    const hangs = (): Promise<never> => {
      calls += 1;
      return new Promise(() => undefined);
    };

    await expect(circuit.execute(hangs)).rejects.toThrow(
      'Redis did not answer within the time limit',
    );
    await expect(circuit.execute(hangs)).rejects.toThrow(
      'The command was skipped after an earlier failure',
    );

    expect(calls).toBe(1);
    expect(circuit.state()).toBe('unavailable');
  });

  it('probes in the background, with one ping at a time', async () => {
    const { circuit, clock, pings } = createEnvironment();
    await expect(circuit.execute(fails)).rejects.toThrow();
    clock.advance(2_000);

    const whileProbing = await Promise.allSettled([circuit.execute(works), circuit.execute(works)]);
    const probes = pings.length;
    pings[0]?.resolve('PONG');
    await expect.poll(() => circuit.execute(works).catch(() => 'unavailable')).toBe('worked');

    expect(whileProbing.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(probes).toBe(1);
  });

  it('waits again when the ping fails', async () => {
    const { circuit, clock, pings } = createEnvironment();
    await expect(circuit.execute(fails)).rejects.toThrow();
    clock.advance(2_000);
    await expect(circuit.execute(works)).rejects.toThrow();
    pings[0]?.reject(new Error('still away'));
    await pings[0]?.promise.catch(() => undefined);

    await expect(circuit.execute(works)).rejects.toThrow();
    clock.advance(2_000);
    await expect.poll(() => circuit.execute(works).catch(() => pings.length)).toBe(2);
  });

  it('probes without traffic, when readiness checks', async () => {
    const { circuit, clock, pings } = createEnvironment();
    await expect(circuit.execute(fails)).rejects.toThrow();
    clock.advance(4_000);

    const before = circuit.state();
    pings[0]?.resolve('PONG');
    await expect.poll(() => circuit.state()).toBe('ready');

    expect(before).toBe('unavailable');
  });

  it('stays unavailable when Redis answers pings and refuses commands', async () => {
    const { circuit, clock, pings } = createEnvironment();
    for (let round = 0; round < 3; round += 1) {
      await expect(circuit.execute(fails)).rejects.toThrow('the secret command');
      clock.advance(2_000);
      circuit.state();
      pings[round]?.resolve('PONG');
      await new Promise(setImmediate);
    }

    expect(circuit.state()).toBe('unavailable');
  });

  it('R3 logs failures once a minute, without commands or values', async () => {
    const { circuit, clock, telemetry, pings } = createEnvironment();
    for (let second = 0; second < 119; second += 1) {
      await circuit.execute(fails).catch(() => undefined);
      clock.advance(1_000);
      circuit.state();
      for (const ping of pings.splice(0)) ping.resolve('PONG');
      await new Promise(setImmediate);
    }

    expect(telemetry.lines.map(({ message }) => message)).toEqual(['redis failed', 'redis failed']);
    expect(JSON.stringify(telemetry.lines)).not.toContain('secret');
  });

  it('logs the recovery after a successful command', async () => {
    const { circuit, clock, telemetry, pings } = createEnvironment();
    await circuit.execute(fails).catch(() => undefined);
    clock.advance(2_000);
    circuit.state();
    pings[0]?.resolve('PONG');
    await expect.poll(() => circuit.execute(works).catch(() => 'unavailable')).toBe('worked');
    await circuit.execute(works);

    expect(telemetry.at('info').map(({ message }) => message)).toEqual(['redis recovered']);
  });

  it('stays closed for a key that holds another type', async () => {
    const { circuit } = createEnvironment();
    const wrongType = async (): Promise<never> => {
      throw new Error('Command failed: WRONGTYPE Operation against a key');
    };

    await expect(circuit.execute(wrongType)).rejects.toThrow('WRONGTYPE');

    expect(await circuit.execute(works)).toBe('worked');
  });
});
