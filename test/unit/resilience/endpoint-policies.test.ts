import { describe, expect, it } from 'vitest';
import {
  type CallOutcome,
  CallNotPermittedError,
  type CallSlot,
  type CircuitState,
  createEndpointPolicies,
  type EndpointPolicies,
} from '../../../shared/resilience/policies.ts';

const HALF_OPEN_AFTER_MS = 30_000;
const { signal: never } = new AbortController();

function createScene({ maxConcurrent = 100, maxQueued = 100 } = {}) {
  const changes: CircuitState[] = [];
  let now = 1_000_000;
  const policies = createEndpointPolicies({
    minCalls: 5,
    windowSize: 12,
    halfOpenAfterMs: HALF_OPEN_AFTER_MS,
    maxConcurrent,
    maxQueued,
    clock: { now: () => now },
    onCircuitChange: (state) => changes.push(state),
  });
  return { policies, changes, advance: (ms: number) => (now += ms) };
}

/** A call that stays open until its slot is ended. */
async function begin(policies: EndpointPolicies): Promise<CallSlot> {
  return policies.execute(async (slot) => slot, never);
}

/** Long enough for the policies to see the outcome of a call. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}

async function end(slot: CallSlot, outcome: CallOutcome): Promise<void> {
  slot.end(outcome);
  await settle();
}

async function callTimes(
  policies: EndpointPolicies,
  { times, outcome }: { readonly times: number; readonly outcome: CallOutcome },
): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    (await begin(policies)).end(outcome);
    await settle();
  }
}

describe('the circuit breaker of an endpoint', () => {
  it('opens at the fifth failure in a row and reports the time until a probe', async () => {
    const { policies, changes, advance } = createScene();
    await callTimes(policies, { times: 4, outcome: 'failing' });
    expect(policies.state()).toBe('closed');

    await callTimes(policies, { times: 1, outcome: 'failing' });

    expect(policies.state()).toBe('open');
    await expect(begin(policies)).rejects.toBeInstanceOf(CallNotPermittedError);
    advance(10_000);
    expect(policies.retryInMs()).toBe(20_000);
    expect(changes).toEqual(['open']);
  });

  it('opens within ten failures after successes', async () => {
    const { policies } = createScene();
    await callTimes(policies, { times: 50, outcome: 'healthy' });

    await callTimes(policies, { times: 10, outcome: 'failing' });

    expect(policies.state()).toBe('open');
  });

  it('stays closed while one call in three fails', async () => {
    const { policies } = createScene();

    for (let i = 0; i < 300; i += 1) {
      (await begin(policies)).end(i % 3 === 0 ? 'failing' : 'healthy');
    }
    await settle();

    expect(policies.state()).toBe('closed');
  });

  it('permits exactly one probe when the time has passed, and the others fail at once', async () => {
    const { policies, advance } = createScene();
    await callTimes(policies, { times: 5, outcome: 'failing' });
    advance(HALF_OPEN_AFTER_MS);
    expect(policies.state()).toBe('half-open');

    const outcomes = await Promise.allSettled([1, 2, 3].map(() => begin(policies)));

    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(policies.isCallPermitted()).toBe(false);
  });

  it('closes when the probe succeeds, and opens for the whole time when it fails', async () => {
    const { policies, changes, advance } = createScene();
    await callTimes(policies, { times: 5, outcome: 'failing' });
    advance(HALF_OPEN_AFTER_MS);

    await callTimes(policies, { times: 1, outcome: 'failing' });
    expect(policies.retryInMs()).toBe(HALF_OPEN_AFTER_MS);
    advance(HALF_OPEN_AFTER_MS);
    await callTimes(policies, { times: 1, outcome: 'healthy' });

    expect(policies.state()).toBe('closed');
    expect(changes).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
  });

  it('neither closes nor opens for a probe without an outcome: the next call is the probe', async () => {
    const { policies, changes, advance } = createScene();
    await callTimes(policies, { times: 5, outcome: 'failing' });
    advance(HALF_OPEN_AFTER_MS);

    await callTimes(policies, { times: 3, outcome: 'unknown' });

    expect(policies.state()).toBe('half-open');
    expect(policies.isCallPermitted()).toBe(true);
    expect(changes).toEqual(['open', 'half-open']);
  });

  it('counts nothing for calls without an outcome while it is closed', async () => {
    const { policies } = createScene();
    await callTimes(policies, { times: 4, outcome: 'failing' });

    await callTimes(policies, { times: 100, outcome: 'unknown' });
    await callTimes(policies, { times: 1, outcome: 'failing' });

    expect(policies.state()).toBe('open');
  });

  it('closes at the first sign of life of a probe, before its call has ended', async () => {
    const { policies, advance } = createScene();
    await callTimes(policies, { times: 5, outcome: 'failing' });
    advance(HALF_OPEN_AFTER_MS);
    const probe = await begin(policies);

    probe.progress();
    await settle();

    expect(policies.state()).toBe('closed');
    await end(probe, 'failing');
    await callTimes(policies, { times: 4, outcome: 'failing' });
    expect(policies.state()).toBe('closed');
  });

  it.each(['healthy', 'failing'] as const)(
    'is not disturbed by a call that began before it opened and ends %s during the probe',
    async (outcome) => {
      const { policies, advance } = createScene();
      const late = [await begin(policies), await begin(policies)];
      await callTimes(policies, { times: 5, outcome: 'failing' });
      advance(HALF_OPEN_AFTER_MS);
      const probe = await begin(policies);

      for (const slot of late) await end(slot, outcome);

      expect(policies.state()).toBe('half-open');
      expect(policies.isCallPermitted()).toBe(false);
      await end(probe, 'healthy');
      expect(policies.state()).toBe('closed');
    },
  );

  it('counts only the first outcome of a call', async () => {
    const { policies } = createScene();
    await callTimes(policies, { times: 4, outcome: 'failing' });
    const slot = await begin(policies);

    await end(slot, 'unknown');
    await end(slot, 'failing');

    expect(policies.state()).toBe('closed');
  });

  it('stays open no longer than configured when the clock is set back', async () => {
    const { policies, advance } = createScene();
    await callTimes(policies, { times: 5, outcome: 'failing' });

    advance(-600_000);

    expect(policies.retryInMs()).toBe(HALF_OPEN_AFTER_MS);
    advance(HALF_OPEN_AFTER_MS);
    await callTimes(policies, { times: 1, outcome: 'healthy' });
    expect(policies.state()).toBe('closed');
  });

  it('almost never opens at 20 % random failures', async () => {
    let seed = 42;
    function random(): number {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    }
    let opened = 0;

    for (let round = 0; round < 40; round += 1) {
      const { policies, changes } = createScene();
      for (let i = 0; i < 1_440 && policies.isCallPermitted(); i += 1) {
        (await begin(policies)).end(random() < 0.2 ? 'failing' : 'healthy');
      }
      await settle();
      opened += changes.length;
    }

    expect(opened).toBeLessThanOrEqual(4);
  });
});

describe('the bulkhead of an endpoint', () => {
  it('runs up to its limit, queues up to its bound, and rejects the rest at once', async () => {
    const { policies } = createScene({ maxConcurrent: 2, maxQueued: 1 });
    const first = await begin(policies);
    await begin(policies);
    const queued = begin(policies);

    await expect(begin(policies)).rejects.toBeInstanceOf(CallNotPermittedError);

    expect(policies.hasCapacity()).toBe(false);
    first.end('healthy');
    expect(await queued).toBeDefined();
  });

  it('runs queued calls in the order of their arrival', async () => {
    const { policies } = createScene({ maxConcurrent: 1, maxQueued: 3 });
    const order: number[] = [];
    const slot = await begin(policies);
    const calls = [1, 2, 3].map((number) =>
      policies.execute(async (next) => {
        order.push(number);
        next.end('healthy');
      }, never),
    );

    slot.end('healthy');
    await Promise.all(calls);

    expect(order).toEqual([1, 2, 3]);
  });

  it('keeps the slot of a stream until the stream ends', async () => {
    const { policies } = createScene({ maxConcurrent: 1, maxQueued: 0 });
    const slot = await begin(policies);
    await settle();
    expect(policies.hasCapacity()).toBe(false);

    await end(slot, 'healthy');

    expect(policies.hasCapacity()).toBe(true);
  });

  it('frees the place of a queued call that is aborted', async () => {
    const { policies } = createScene({ maxConcurrent: 1, maxQueued: 1 });
    const slot = await begin(policies);
    const caller = new AbortController();
    let isStarted = false;
    const queued = policies.execute(async () => {
      isStarted = true;
    }, caller.signal);
    expect(policies.hasCapacity()).toBe(false);

    caller.abort(new Error('client gone'));

    await expect(queued).rejects.toThrow('client gone');
    expect(policies.hasCapacity()).toBe(true);
    const next = begin(policies);
    slot.end('healthy');
    expect(await next).toBeDefined();
    expect(isStarted).toBe(false);
  });

  it('does not run a call whose signal is aborted', async () => {
    const { policies } = createScene({ maxConcurrent: 1, maxQueued: 1 });
    const aborted = AbortSignal.abort(new Error('too late'));

    await expect(policies.execute(async () => 'ran', aborted)).rejects.toThrow('too late');

    expect(await begin(policies)).toBeDefined();
  });

  it('fails a queued call at once when the circuit has opened meanwhile', async () => {
    const { policies } = createScene({ maxConcurrent: 1, maxQueued: 1 });
    await callTimes(policies, { times: 4, outcome: 'failing' });
    const slot = await begin(policies);
    const queued = begin(policies);

    slot.end('failing');

    await expect(queued).rejects.toBeInstanceOf(CallNotPermittedError);
  });
});
