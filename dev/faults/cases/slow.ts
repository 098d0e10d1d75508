import { scripted, type FaultFamily } from '../fault-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { SHORT_TIMEOUTS } from '../settings.ts';

const LATE = { outcome: 'upstream_timeout', calls: 3, retryAfterSeconds: [1, 300] } as const;
const CUT_OFF = { outcome: 'upstream_timeout', calls: 1, textFirst: true } as const;
const MOVED = { outcome: 'answer', calls: 1, fallbackCalls: 1, contains: SECOND_ANSWER } as const;

/** U12 to U14: an upstream that does not respond, or responds late or slowly. */
export const slow: FaultFamily = {
  name: 'slow',
  settings: SHORT_TIMEOUTS,
  lanes: 5,
  cases: [
    scripted({ id: 'U12', script: 'dev/silent', expected: LATE }),
    scripted({ id: 'U12', script: 'dev/silent', endpoints: 2, expected: MOVED }),
    scripted({
      id: 'U13',
      script: 'dev/slow-first-token-300000',
      modes: ['stream'],
      expected: LATE,
    }),
    scripted({
      id: 'U13',
      script: 'dev/slow-first-token-300000',
      modes: ['stream'],
      endpoints: 2,
      expected: MOVED,
    }),
    scripted({ id: 'U14', script: 'dev/trickle', expected: LATE }),
    scripted({ id: 'U14', script: 'dev/trickle', endpoints: 2, expected: MOVED }),
    scripted({ id: 'U14', script: 'dev/stall-3', modes: ['stream'], expected: CUT_OFF }),
    scripted({ id: 'U14', script: 'dev/stall-3', modes: ['json'], expected: LATE }),
    scripted({
      id: 'U14',
      injected: 'dev/long-100000, past the total deadline',
      script: 'dev/long-100000',
      modes: ['stream'],
      own: { AGENT__LIMITS__STREAM_DEADLINE_MS: '1500' },
      expected: CUT_OFF,
    }),
    scripted({
      id: 'U14',
      injected: 'dev/silent, past the total deadline',
      script: 'dev/silent',
      modes: ['json'],
      own: { AGENT__LIMITS__ANSWER_DEADLINE_MS: '600' },
      expected: { outcome: 'upstream_timeout', calls: 1 },
    }),
  ],
};
