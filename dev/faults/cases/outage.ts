import { setTimeout as sleep } from 'node:timers/promises';
import { custom, type FaultCase, type FaultFamily, type Finding } from '../fault-case.ts';
import { startFaultEnvironment, type FaultEnvironment } from '../fault-environment.ts';
import { sendSteadily, countOutcomes, percentile, type LoadResult } from '../steady-load.ts';
import { newMarker } from '../run-case.ts';

/** The length of the outage; the request rate and the promises are the same for all lengths. */
export interface OutageLength {
  readonly outageSeconds: number;
  readonly halfOpenMs: number;
  /**
   * Maximum milliseconds for a response while the circuit is open; without it only the ratio is
   * checked.
   */
  readonly openAnswerMs?: number;
}

export const SHORT_OUTAGE: OutageLength = { outageSeconds: 4, halfOpenMs: 1_000 };
export const FULL_OUTAGE: OutageLength = { outageSeconds: 30, halfOpenMs: 5_000, openAnswerMs: 20 };

const PER_SECOND = 50;
const OPENED = 'model circuit opened';
/** How much later than the half-open delay the first request must succeed. */
const RECOVERY_SLACK_MS = 1_000;
/** An answer of an open circuit does less than a normal one at the same time; doubled for chance. */
const MAX_OPEN_RATIO = 2;

/** U8: every call fails for a while, then none does. */
export function outage(length: OutageLength): FaultFamily {
  return {
    name: 'outage',
    settings: {
      AGENT__MODEL__HALF_OPEN_AFTER_MS: String(length.halfOpenMs),
      AGENT__MODEL__BACKOFF_INITIAL_MS: '100',
    },
    lanes: 1,
    cases: [outageCase(length)],
  };
}

function outageCase(length: OutageLength): FaultCase {
  return custom({
    id: 'U8',
    injected: `${length.outageSeconds} s of 503 at ${PER_SECOND}/s`,
    promised: 'circuit opens; <= 1 probe/s; open answers are fast; recovers in time',
    modes: ['json'],
    own: {},
    async run(environment) {
      const healthy = await startFaultEnvironment({ endpoints: 1, settings: {} });
      try {
        return await measureOutage({ environment, healthy }, length);
      } finally {
        await healthy.stop();
      }
    },
  });
}

interface Environments {
  readonly environment: FaultEnvironment;
  /** Without an outage, for comparison: a busy machine slows down both. */
  readonly healthy: FaultEnvironment;
}

async function measureOutage(
  { environment, healthy }: Environments,
  length: OutageLength,
): Promise<Finding> {
  const both = [environment, healthy];
  await Promise.all(both.map((one) => sendMany(one, { script: 'dev/instant', seconds: 1 })));
  const marker = newMarker();
  const seconds = length.outageSeconds;
  const over = new AbortController();
  const opening = waitForOpening(environment, over.signal);
  const [failed, normal] = await Promise.all([
    sendMany(environment, { script: `dev/503-always ${marker}`, seconds }),
    sendMany(healthy, { script: 'dev/instant', seconds }),
  ]);
  over.abort();
  const openFrom = await opening;
  const healedAt = Date.now();
  const recoveryMs = length.halfOpenMs + RECOVERY_SLACK_MS;
  const healed = await sendMany(environment, {
    script: `dev/instant ${newMarker()}`,
    seconds: recoveryMs / 1_000 + 1,
  });

  const calls = environment.callsWith(marker);
  const probes = calls.filter((call) => call.startedAt > openFrom).length;
  const whileOpen = (results: readonly LoadResult[]): number[] =>
    results.filter(({ sentAt }) => sentAt > openFrom).map(({ ms }) => ms);
  const openMs = whileOpen(failed);
  const normalMedian = percentile(whileOpen(normal), 0.5);
  const openMedian = percentile(openMs, 0.5);
  const firstWell = healed.find(({ outcome }) => outcome === 'answer')?.sentAt ?? Infinity;
  const late = healed.filter(({ sentAt }) => sentAt > healedAt + recoveryMs);
  const wholeMs = healedAt - openFrom;
  const allowedProbes = Math.ceil(wholeMs / Math.max(1_000, length.halfOpenMs)) + 1;
  return {
    happened: `${calls.length - probes} calls, then ${probes} probes; open p50 ${openMedian.toFixed(1)} ms (normal ${normalMedian.toFixed(1)}), p99 ${percentile(openMs, 0.99).toFixed(1)}; back after ${((firstWell - healedAt) / 1_000).toFixed(1)} s`,
    calls: calls.length,
    received: [...failed, ...healed].map(({ raw }) => raw),
    problems: [
      ...(openFrom < Infinity ? [] : ['the circuit did not open']),
      ...(failed.every(({ outcome }) => outcome === 'upstream_unavailable')
        ? []
        : [`the outage ended as ${countOutcomes(failed)}`]),
      ...(probes <= allowedProbes ? [] : [`${probes} probes instead of <= ${allowedProbes}`]),
      ...(openMedian <= MAX_OPEN_RATIO * normalMedian ? [] : ['open answers are slow']),
      ...(openMedian <= (length.openAnswerMs ?? Infinity) ? [] : ['open answers take too long']),
      ...(late.length > 0 && late.every(({ outcome }) => outcome === 'answer')
        ? []
        : [`after the time to recover: ${countOutcomes(late)}`]),
    ],
  };
}

/** When the circuit opens: calls before it are no probes. Infinity if it is still closed at the end. */
async function waitForOpening({ log }: FaultEnvironment, over: AbortSignal): Promise<number> {
  const before = log.length;
  const isOpen = (): boolean => log.slice(before).some((line) => line.includes(OPENED));
  while (!isOpen()) {
    if (over.aborted) return Infinity;
    await sleep(10);
  }
  return Date.now();
}

function sendMany(
  environment: FaultEnvironment,
  { script, seconds }: { readonly script: string; readonly seconds: number },
): Promise<LoadResult[]> {
  return sendSteadily(environment.url, {
    perSecond: PER_SECOND,
    seconds,
    request: () => ({ message: script, mode: 'json' }),
  });
}
