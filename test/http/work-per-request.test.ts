import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../dev/model/start-development-model.ts';
import { runScript } from '../support/run-script.ts';

/**
 * What one request may create. The counts do not depend on the machine, as times do. A change that
 * needs more raises its number here, with the reason in its commit.
 */
const ALLOWED = {
  chat: {
    abortControllers: 5,
    timers: 4,
    abortListeners: 6,
    logLines: 2,
    modelWrites: 1,
  },
  'chat stream': {
    abortControllers: 6,
    timers: 7,
    abortListeners: 8,
    logLines: 3,
    modelWrites: 1,
  },
  'cache hit': {
    abortControllers: 3,
    timers: 3,
    abortListeners: 2,
    logLines: 2,
    modelWrites: 0,
  },
  completions: {
    abortControllers: 5,
    timers: 4,
    abortListeners: 6,
    logLines: 2,
    modelWrites: 1,
  },
  'completions stream': {
    abortControllers: 6,
    timers: 7,
    abortListeners: 8,
    logLines: 3,
    modelWrites: 1,
  },
  health: {
    abortControllers: 2,
    timers: 0,
    abortListeners: 0,
    logLines: 0,
    modelWrites: 0,
  },
} as const satisfies Record<string, Record<string, number>>;

const countsSchema = z.record(z.string(), z.record(z.string(), z.number()));

let model: DevelopmentModel;
beforeAll(async () => {
  model = await startDevelopmentModel({ tokenDelayMs: 0 });
});
afterAll(() => model.stop());

describe('one request', () => {
  it('creates no more controllers, timers, listeners, log lines and writes than allowed', async () => {
    const script = join(import.meta.dirname, 'fixtures', 'count-work.ts');

    const run = runScript(script, { args: [model.url] });
    const { code } = await run.ended;

    expect(run.stderr()).toBe('');
    expect(code).toBe(0);
    const counts = countsSchema.parse(JSON.parse(run.stdout()));
    const above = Object.entries(ALLOWED).flatMap(([request, allowed]) =>
      Object.entries(allowed)
        .map(([what, limit]) => ({ what, limit, count: counts[request]?.[what] ?? Number.NaN }))
        .filter(({ count, limit }) => !(count <= limit))
        .map(({ what, limit, count }) => `${request}: ${count} ${what}, allowed are ${limit}`),
    );
    expect(above).toEqual([]);
  });
});
