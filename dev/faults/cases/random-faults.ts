import {
  custom,
  type FaultCase,
  type FaultFamily,
  type Finding,
  type Mode,
} from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { sendSteadily, countOutcomes } from '../steady-load.ts';
import { newMarker } from '../run-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';

export interface RandomFaultsSize {
  readonly seconds: number;
  readonly perSecond: number;
  readonly streams: number;
}

export const FEW_RANDOM_FAULTS: RandomFaultsSize = { seconds: 3, perSecond: 40, streams: 40 };
export const MANY_RANDOM_FAULTS: RandomFaultsSize = { seconds: 60, perSecond: 20, streams: 400 };

const LEAST_SERVED = 0.99;
const MAX_CALLS_PER_REQUEST = 1.2;
/** Retries in the budget before the first fault. */
const SAVED_RETRIES = 10;
const EVERY = 5;

/** U7 and U10 under load: random faults, and every caller gets an answer or the right error. */
export function randomFaults(size: RandomFaultsSize): FaultFamily {
  return {
    name: 'random faults',
    settings: { AGENT__MODEL__BACKOFF_INITIAL_MS: '50', AGENT__MODEL__BACKOFF_MAX_MS: '200' },
    lanes: 2,
    cases: [
      everyFifthRequest(size),
      everyFifthCall(size),
      cutStreams(size, {
        tokens: 0,
        promised: 'every caller gets a complete answer of the second',
      }),
      cutStreams(size, { tokens: 3, promised: 'every caller gets upstream_interrupted' }),
    ],
  };
}

/** 20 % of the requests meet a fault, which is gone at the retry. */
function everyFifthRequest(size: RandomFaultsSize): FaultCase {
  return custom({
    id: 'U7',
    injected: `a fault in 20 % of requests, ${size.seconds} s at ${size.perSecond}/s`,
    promised: '>= 99 % served with <= 1.2 calls each',
    own: {},
    run: (environment, mode) => {
      const kinds = ['500-then-ok', '503-then-ok', '503-html-then-ok', 'reset-then-ok'];
      const scriptOf = (number: number): string =>
        number % EVERY === 0 ? `dev/${kinds[(number / EVERY) % kinds.length]}` : 'dev/instant';
      return serve(environment, { size, mode, scriptOf });
    },
  });
}

/**
 * 20 % of all calls fail, retries included; the second endpoint answers what the first one fails.
 */
function everyFifthCall(size: RandomFaultsSize): FaultCase {
  return custom({
    id: 'U7',
    injected: `dev/flaky-20, ${size.seconds} s at ${size.perSecond}/s`,
    promised: '>= 99 % served with <= 1.2 calls each',
    endpoints: 2,
    own: {},
    run: (environment, mode) => serve(environment, { size, mode, scriptOf: () => 'dev/flaky-20' }),
  });
}

interface Serving {
  readonly size: RandomFaultsSize;
  readonly mode: Mode;
  readonly scriptOf: (number: number) => string;
}

async function serve(
  environment: FaultEnvironment,
  { size, mode, scriptOf }: Serving,
): Promise<Finding> {
  const marker = newMarker();
  const results = await sendSteadily(environment.url, {
    ...size,
    request: (number) => ({ message: `${scriptOf(number)} ${marker} ${number}`, mode }),
  });
  const served = results.filter(({ outcome }) => outcome === 'answer').length;
  const calls = environment.callsWith(marker).length + environment.secondCallsWith(marker);
  const allowed = Math.ceil(results.length * MAX_CALLS_PER_REQUEST) + SAVED_RETRIES;
  const endings = results.filter(({ endings: count }) => count !== 1).length;
  return {
    happened: `${countOutcomes(results)}; ${(calls / results.length).toFixed(2)} calls each`,
    calls,
    received: results.map(({ raw }) => raw),
    problems: [
      ...(served >= LEAST_SERVED * results.length
        ? []
        : [`only ${served} of ${results.length} served`]),
      ...(calls <= allowed ? [] : [`${calls} calls instead of <= ${allowed}`]),
      ...(endings === 0 ? [] : [`${endings} answers without exactly one ending`]),
    ],
  };
}

function cutStreams(
  size: RandomFaultsSize,
  { tokens, promised }: { readonly tokens: number; readonly promised: string },
): FaultCase {
  return custom({
    id: 'U10',
    injected: `the first of two cuts ${size.streams} streams after ${tokens} tokens`,
    promised,
    modes: ['stream'],
    endpoints: 2,
    // Every stream must reach the first endpoint, so its circuit must stay closed.
    own: { AGENT__MODEL__BREAKER_FAILURES: '1000', AGENT__MODEL__BREAKER_WINDOW_SIZE: '1000' },
    async run(environment, mode) {
      const marker = newMarker();
      const results = await sendSteadily(environment.url, {
        perSecond: size.perSecond,
        seconds: size.streams / size.perSecond,
        request: () => ({ message: `dev/cut-${tokens} ${marker}`, mode }),
      });
      const good = results.filter(({ outcome, text, endings }) =>
        tokens === 0
          ? outcome === 'answer' && text === SECOND_ANSWER
          : outcome === 'upstream_interrupted' && text !== '' && endings === 1,
      );
      const calls = environment.callsWith(marker).length;
      return {
        happened: countOutcomes(results),
        calls: calls + environment.secondCallsWith(marker),
        received: results.map(({ raw }) => raw),
        problems: [
          ...(good.length === results.length
            ? []
            : [`held for ${good.length} of ${results.length}`]),
          ...(calls === results.length ? [] : [`${calls} calls to the first endpoint`]),
        ],
      };
    },
  });
}
