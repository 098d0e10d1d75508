import { describe, expect, it } from 'vitest';
import {
  createCircuitBreaker,
  type CircuitPermit,
  type CircuitBreaker,
  type CircuitState,
} from '../../../shared/resilience/circuit-breaker.ts';

const HALF_OPEN_AFTER_MS = 30_000;

function createScene() {
  const changes: CircuitState[] = [];
  let now = 1_000_000;
  const breaker = createCircuitBreaker({
    failures: 5,
    windowSize: 12,
    halfOpenAfterMs: HALF_OPEN_AFTER_MS,
    clock: { now: () => now },
    onChange: (state) => changes.push(state),
  });
  return { breaker, changes, pass: (ms: number) => (now += ms) };
}

function enter(breaker: CircuitBreaker): CircuitPermit {
  const pass = breaker.tryAcquire();
  if (pass === undefined) throw new Error('The circuit let nobody in');
  return pass;
}

function failTimes(breaker: CircuitBreaker, times: number): void {
  for (let i = 0; i < times; i += 1) enter(breaker).fail();
}

describe('circuit breaker', () => {
  it('opens at the fifth failure in a row and tells when to come back', () => {
    const { breaker, changes, pass } = createScene();
    failTimes(breaker, 4);
    expect(breaker.state()).toBe('closed');

    failTimes(breaker, 1);

    expect(breaker.state()).toBe('open');
    expect(breaker.tryAcquire()).toBeUndefined();
    pass(10_000);
    expect(breaker.retryInMs()).toBe(20_000);
    expect(changes).toEqual(['open']);
  });

  it('opens within ten failures after a healthy time', () => {
    const { breaker } = createScene();
    for (let i = 0; i < 50; i += 1) enter(breaker).succeed();

    failTimes(breaker, 10);

    expect(breaker.state()).toBe('open');
  });

  it('stays closed while one call in three fails', () => {
    const { breaker } = createScene();

    for (let i = 0; i < 300; i += 1) {
      if (i % 3 === 0) enter(breaker).fail();
      else enter(breaker).succeed();
    }

    expect(breaker.state()).toBe('closed');
  });

  it('lets exactly one probe through when the time has passed', () => {
    const { breaker, pass } = createScene();
    failTimes(breaker, 5);
    pass(HALF_OPEN_AFTER_MS);
    expect(breaker.state()).toBe('half-open');

    const probe = breaker.tryAcquire();
    const others = [breaker.tryAcquire(), breaker.tryAcquire()];

    expect(probe).toBeDefined();
    expect(others).toEqual([undefined, undefined]);
    expect(breaker.isCallPermitted()).toBe(false);
  });

  it('closes when the probe succeeds and opens again for the whole time when it fails', () => {
    const { breaker, changes, pass } = createScene();
    failTimes(breaker, 5);
    pass(HALF_OPEN_AFTER_MS);

    enter(breaker).fail();
    expect(breaker.retryInMs()).toBe(HALF_OPEN_AFTER_MS);
    pass(HALF_OPEN_AFTER_MS);
    enter(breaker).succeed();

    expect(breaker.state()).toBe('closed');
    expect(changes).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
  });

  it('neither closes nor opens for a probe without a verdict, and gives the next caller its place', () => {
    const { breaker, pass } = createScene();
    failTimes(breaker, 5);
    pass(HALF_OPEN_AFTER_MS);

    enter(breaker).release();

    expect(breaker.state()).toBe('half-open');
    expect(breaker.isCallPermitted()).toBe(true);
  });

  it('counts nothing for calls without a verdict while it is closed', () => {
    const { breaker } = createScene();
    failTimes(breaker, 4);

    for (let i = 0; i < 100; i += 1) enter(breaker).release();
    failTimes(breaker, 1);

    expect(breaker.state()).toBe('open');
  });

  it('closes at the first sign of life of a probe, before its call is over', () => {
    const { breaker, pass } = createScene();
    failTimes(breaker, 5);
    pass(HALF_OPEN_AFTER_MS);
    const probe = enter(breaker);

    probe.progress();

    expect(breaker.state()).toBe('closed');
    expect(breaker.isCallPermitted()).toBe(true);
    probe.fail();
    failTimes(breaker, 3);
    expect(breaker.state()).toBe('closed');
    failTimes(breaker, 1);
    expect(breaker.state()).toBe('open');
  });

  it('ignores verdicts of calls that began before the circuit opened', () => {
    const { breaker, pass } = createScene();
    const late = [enter(breaker), enter(breaker)];
    failTimes(breaker, 5);
    pass(HALF_OPEN_AFTER_MS);
    const probe = enter(breaker);

    late.forEach((call) => call.succeed());

    expect(breaker.state()).toBe('half-open');
    expect(breaker.isCallPermitted()).toBe(false);
    probe.succeed();
    expect(breaker.state()).toBe('closed');
  });

  it('counts only the first verdict of a call', () => {
    const { breaker } = createScene();
    failTimes(breaker, 4);
    const call = enter(breaker);

    call.release();
    call.fail();

    expect(breaker.state()).toBe('closed');
  });

  it('stays open no longer than agreed when the clock is set back', () => {
    const { breaker, pass } = createScene();
    failTimes(breaker, 5);

    pass(-600_000);

    expect(breaker.retryInMs()).toBe(HALF_OPEN_AFTER_MS);
    pass(HALF_OPEN_AFTER_MS);
    expect(breaker.isCallPermitted()).toBe(true);
  });

  it('almost never opens for one random fault in five', () => {
    let seed = 42;
    function random(): number {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    }
    let opened = 0;

    for (let run = 0; run < 200; run += 1) {
      const { breaker, changes } = createScene();
      for (let i = 0; i < 1_440 && breaker.isCallPermitted(); i += 1) {
        if (random() < 0.2) enter(breaker).fail();
        else enter(breaker).succeed();
      }
      opened += changes.length;
    }

    expect(opened).toBeLessThanOrEqual(10);
  });
});
