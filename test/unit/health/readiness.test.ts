import { describe, expect, it } from 'vitest';
import { createReadiness, type Check, type Status } from '../../../shared/health/readiness.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { never } from '../../support/scripted-model.ts';

const ready: Check = async () => ({ status: 'ready' });

function setUp(checks: { chat?: Check; batch?: Check; secrets?: Check }, timeoutMs = 10_000) {
  const telemetry = createRecordedTelemetry();
  const time = { now: 1_000_000 };
  const readiness = createReadiness({
    checks: { chat: ready, batch: ready, ...checks },
    cacheMs: 5_000,
    timeoutMs,
    clock: { now: () => time.now },
    telemetry,
  });
  return { readiness, telemetry, time };
}

function counting(): { check: Check; looks: () => number } {
  let looks = 0;
  return {
    looks: () => looks,
    check: async () => {
      looks += 1;
      return { status: 'ready' };
    },
  };
}

describe('createReadiness', () => {
  it.each([
    ['ready', 'ready', 'ready'],
    ['ready', 'degraded', 'degraded'],
    ['ready', 'unready', 'degraded'],
    ['degraded', 'ready', 'degraded'],
    ['degraded', 'unready', 'degraded'],
    ['unready', 'ready', 'unready'],
    ['unready', 'degraded', 'unready'],
    ['unready', 'unready', 'unready'],
  ] as [Status, Status, Status][])(
    'takes chat %s and batch %s for %s',
    async (chat, batch, overall) => {
      const { readiness } = setUp({
        chat: async () => ({ status: chat }),
        batch: async () => ({ status: batch }),
      });

      expect(await readiness.report()).toMatchObject({
        status: overall,
        chat: { status: chat },
        batch: { status: batch },
      });
    },
  );

  it('checks again only when the report is old', async () => {
    const { check, looks } = counting();
    const { readiness, time } = setUp({ chat: check });

    await readiness.report();
    time.now += 4_999;
    await readiness.report();
    const whileFresh = looks();
    time.now += 1;
    await readiness.report();

    expect([whileFresh, looks()]).toEqual([1, 2]);
  });

  it('checks again after the clock was set back', async () => {
    const { check, looks } = counting();
    const { readiness, time } = setUp({ chat: check });

    await readiness.report();
    time.now -= 600_000;
    await readiness.report();

    expect(looks()).toBe(2);
  });

  it('shares one check among a hundred callers', async () => {
    const { check, looks } = counting();
    const { readiness } = setUp({ chat: check });

    const reports = await Promise.all(Array.from({ length: 100 }, () => readiness.report()));

    expect(looks()).toBe(1);
    expect(new Set(reports).size).toBe(1);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('sk-secret'))],
    [
      'throws',
      () => {
        throw new Error('sk-secret');
      },
    ],
  ] as [string, Check][])(
    'reports a part whose check %s as unready, without its text',
    async (_name, check) => {
      const { readiness, telemetry } = setUp({ batch: check });

      const report = await readiness.report();

      expect(report).toEqual({
        status: 'degraded',
        chat: { status: 'ready' },
        batch: { status: 'unready', reason: 'the check failed' },
      });
      expect(telemetry.lines).toMatchObject([
        { level: 'warn', fields: { part: 'batch', cause: 'Error' } },
      ]);
      expect(JSON.stringify(telemetry.lines)).not.toContain('secret');
    },
  );

  it('does not wait for a check that hangs, and aborts it', async () => {
    const signals: AbortSignal[] = [];
    const hanging: Check = (signal) => {
      signals.push(signal);
      return never();
    };
    const { readiness, telemetry } = setUp({ chat: hanging }, 20);

    const report = await readiness.report();

    expect(report).toMatchObject({
      status: 'unready',
      chat: { status: 'unready', reason: 'the check timed out' },
      batch: { status: 'ready' },
    });
    expect(signals[0]?.aborted).toBe(true);
    expect(telemetry.lines).toMatchObject([
      { level: 'warn', message: 'readiness check timed out', fields: { part: 'chat' } },
    ]);
  });

  it('ignores a check that fails after its time limit', async () => {
    const late = Promise.withResolvers<never>();
    const { readiness } = setUp({ chat: () => late.promise }, 10);

    const report = await readiness.report();
    late.reject(new Error('late'));
    await new Promise(setImmediate);

    expect(report.status).toBe('unready');
  });

  it('shows the code and the message of an error that is made for callers', async () => {
    const { readiness } = setUp({
      batch: () => Promise.reject(new ServiceError('config_unavailable', 'NAME must be set')),
    });

    expect(await readiness.report()).toMatchObject({
      status: 'degraded',
      batch: { status: 'unready', code: 'config_unavailable', reason: 'NAME must be set' },
    });
  });

  it('is degraded while the secrets are old, and names their source', async () => {
    const sources = { NAME: 'key-vault' };
    const { readiness } = setUp({ secrets: async () => ({ status: 'degraded', sources }) });

    expect(await readiness.report()).toMatchObject({
      status: 'degraded',
      chat: { status: 'ready' },
      secrets: { sources },
    });
  });

  it('recovers with the next check', async () => {
    let fails = true;
    const { readiness, time } = setUp({
      chat: async () => ({ status: fails ? 'unready' : 'ready' }),
    });

    const before = await readiness.report();
    fails = false;
    time.now += 5_000;
    const after = await readiness.report();

    expect([before.status, after.status]).toEqual(['unready', 'ready']);
  });
});
