import { sendRequest } from '../send-request.ts';
import {
  custom,
  scripted,
  type Expected,
  type FaultCase,
  type FaultFamily,
} from '../fault-case.ts';
import { checkAnswer } from '../check-answer.ts';
import { newMarker } from '../run-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { FAST_RETRIES } from '../settings.ts';

/** Shorter than the delays that are too long. */
const SHORT_DEADLINES = {
  AGENT__LIMITS__ANSWER_DEADLINE_MS: '5000',
  AGENT__LIMITS__STREAM_DEADLINE_MS: '5000',
};

/** The rate limit leaves the endpoint in cooldown, so the next case uses another instance. */
const OWN = {};

const MOVED = { outcome: 'answer', calls: 1, fallbackCalls: 1, contains: SECOND_ANSWER } as const;
/** Without a named delay: a back-off, which takes at least a millisecond. */
const BACKED_OFF: Expected = { outcome: 'answer', calls: 2, waitMs: [1, 2_500] };

const CASES: readonly FaultCase[] = [
  scripted({
    id: 'U1',
    script: 'dev/429-then-ok-1',
    expected: { outcome: 'answer', calls: 2, waitMs: [1_000, 4_500] },
  }),
  scripted({ id: 'U1', script: 'dev/429-then-ok-1', endpoints: 2, own: OWN, expected: MOVED }),
  tooLong('dev/429-always-90', 90),
  tooLong('dev/429-always-9000', 300),
  scripted({
    id: 'U2',
    script: 'dev/429-date-future-90',
    own: OWN,
    expected: { ...limited(90), retryAfterSeconds: [88, 92] },
  }),
  scripted({ id: 'U2', script: 'dev/429-always-90', endpoints: 2, own: OWN, expected: MOVED }),
  ...['dev/429-ms-700', 'dev/429-x-ms-700'].map((script) =>
    scripted({
      id: 'U3',
      script,
      expected: { outcome: 'answer', calls: 2, waitMs: [700, 4_000] },
    }),
  ),
  ...['-5', 'abc', '1e9', 'NaN'].map((text) =>
    scripted({ id: 'U4', script: `dev/429-retry-after-${text}`, expected: BACKED_OFF }),
  ),
  scripted({ id: 'U4', script: 'dev/429-date-past', expected: BACKED_OFF }),
  twoHeaders(),
  ...['12ms', '-1', '0'].map((text) =>
    scripted({ id: 'U5', script: `dev/429-reset-tokens-${text}`, expected: BACKED_OFF }),
  ),
  scripted({
    id: 'U5',
    script: 'dev/429-reset-tokens-1',
    expected: { outcome: 'answer', calls: 2, waitMs: [1_000, 4_500] },
  }),
  scripted({ id: 'U5', script: 'dev/429-reset-tokens-7', own: OWN, expected: limited(7) }),
  scripted({ id: 'U5', script: 'dev/429-reset-tokens-6m0s', own: OWN, expected: limited(300) }),
  scripted({ id: 'U6', script: 'dev/quota', expected: { outcome: 'upstream_quota', calls: 1 } }),
  scripted({ id: 'U6', script: 'dev/quota', endpoints: 2, expected: MOVED }),
];

/** U1 to U6: an upstream that limits the rate, and accepts calls again soon. */
export const rateLimits: FaultFamily = {
  name: 'rate limits',
  settings: FAST_RETRIES,
  // One after the other: the cooldown applies to all callers.
  lanes: 1,
  cases: CASES.filter(({ own }) => own === undefined),
};

/** The same with a delay that is too long, each on an instance of its own. */
export const longRateLimits: FaultFamily = {
  name: 'long rate limits',
  settings: { ...FAST_RETRIES, ...SHORT_DEADLINES },
  lanes: 4,
  cases: CASES.filter(({ own }) => own !== undefined),
};

function limited(seconds: number): Expected {
  return { outcome: 'upstream_rate_limited', calls: 1, retryAfterSeconds: [seconds, seconds] };
}

/** A request during the cooldown gets the same error without a call. */
function tooLong(script: string, seconds: number): FaultCase {
  return custom({
    id: 'U2',
    injected: script,
    promised: `upstream_rate_limited, 1 call, Retry-After ${seconds}; the next caller costs none`,
    own: OWN,
    async run(environment, mode) {
      const marker = newMarker();
      const message = `${script} ${marker}`;
      const refused = await sendRequest(environment.url, { message, mode });
      const next = await sendRequest(environment.url, { message, mode });
      const calls = environment.callsWith(marker);
      return {
        happened: `${refused.outcome}, Retry-After ${refused.retryAfterSeconds}; then ${next.outcome}`,
        calls: calls.length,
        received: [refused.raw, next.raw],
        problems: [
          ...checkAnswer(limited(seconds), { result: refused, calls, secondCalls: 0 }),
          ...(next.outcome === 'upstream_rate_limited' ? [] : [`the next one: ${next.outcome}`]),
          ...((next.retryAfterSeconds ?? 0) > 0 ? [] : ['the next one has no Retry-After']),
        ],
      };
    },
  });
}

/**
 * Every second call of the script fails, with -5, abc, 1e9, NaN and finally two headers, 3 and 5.
 */
function twoHeaders(): FaultCase {
  return custom({
    id: 'U4',
    injected: 'dev/429-nonsense, the last with two headers 3 and 5',
    promised: 'four answers after a back-off, then upstream_rate_limited, Retry-After 5',
    own: { AGENT__LIMITS__ANSWER_DEADLINE_MS: '4500', AGENT__LIMITS__STREAM_DEADLINE_MS: '4500' },
    async run(environment, mode) {
      const marker = newMarker();
      const outcomes: string[] = [];
      const raws: string[] = [];
      let retryAfter: number | undefined;
      for (let count = 0; count < 5; count += 1) {
        const refused = await sendRequest(environment.url, {
          message: `dev/429-nonsense ${marker}`,
          mode,
        });
        outcomes.push(refused.outcome);
        raws.push(refused.raw);
        retryAfter = refused.retryAfterSeconds;
      }
      const calls = environment.callsWith(marker).length;
      const expected = [...Array.from({ length: 4 }, () => 'answer'), 'upstream_rate_limited'];
      return {
        happened: `${outcomes.join(' ')}, Retry-After ${retryAfter}`,
        calls,
        received: raws,
        problems: [
          ...(outcomes.join() === expected.join() ? [] : [`ended as ${outcomes.join(' ')}`]),
          ...(calls === 9 ? [] : [`${calls} calls instead of 9`]),
          ...(retryAfter === 5 ? [] : [`Retry-After ${retryAfter} instead of 5`]),
        ],
      };
    },
  });
}
