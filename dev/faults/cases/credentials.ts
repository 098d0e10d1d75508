import { sendRequest } from '../send-request.ts';
import { custom, scripted, type FaultCase, type FaultFamily } from '../fault-case.ts';
import { checkAnswer } from '../check-answer.ts';
import { newMarker } from '../run-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { FAST_RETRIES } from '../settings.ts';

const REFUSED = { outcome: 'upstream_auth', calls: 1 } as const;
const MOVED = { outcome: 'answer', calls: 1, fallbackCalls: 1, contains: SECOND_ANSWER } as const;

/** U20 and U23: the endpoint refuses the key, or redirects to a server that must not get it. */
export const credentials: FaultFamily = {
  name: 'credentials',
  settings: FAST_RETRIES,
  lanes: 4,
  cases: [
    scripted({ id: 'U20', script: 'dev/401', expected: REFUSED }),
    scripted({ id: 'U20', script: 'dev/403', expected: REFUSED }),
    scripted({ id: 'U20', script: 'dev/401', endpoints: 2, expected: MOVED }),
    ...[301, 302, 307, 308].map(redirect),
  ],
};

function redirect(status: number): FaultCase {
  const expected = { outcome: 'upstream_misconfigured', calls: 1 } as const;
  return custom({
    id: 'U23',
    injected: `dev/${status} to another address`,
    promised: 'upstream_misconfigured, 1 call, no request to the target',
    async run(environment, mode) {
      const marker = newMarker();
      const result = await sendRequest(environment.url, {
        message: `dev/${status} ${marker}`,
        mode,
      });
      const calls = environment.callsWith(marker);
      const visitors = await environment.redirectHits();
      return {
        happened: `${result.outcome}, ${visitors} requests to the target`,
        calls: calls.length,
        received: [result.raw],
        problems: [
          ...checkAnswer(expected, { result, calls, secondCalls: 0 }),
          ...(visitors === 0 ? [] : [`${visitors} requests to the target of the redirect`]),
        ],
      };
    },
  });
}
