import { scripted, type FaultFamily } from '../fault-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { FAST_RETRIES } from '../settings.ts';

const STATUSES = [500, 502, 503, 504, 408];
const SERVED = { outcome: 'answer', calls: 2 } as const;
const DOWN = { outcome: 'upstream_unavailable', calls: 3, retryAfterSeconds: [1, 300] } as const;
const MOVED = { outcome: 'answer', calls: 1, fallbackCalls: 1, contains: SECOND_ANSWER } as const;

/**
 * An attempt whose kept connection is reset resends once on a fresh one, as the kept one may have been
 * dead. So three attempts make three to six calls.
 */
const RESENT = { ...DOWN, calls: [3, 6] } as const;
const MOVED_RESENT = { ...MOVED, calls: [1, 2] } as const;

/** U7 and the resets of U9: a server that fails before it sends a response. */
export const serverErrors: FaultFamily = {
  name: 'server errors',
  settings: FAST_RETRIES,
  lanes: 4,
  cases: [
    ...STATUSES.map((status) =>
      scripted({ id: 'U7', script: `dev/${status}-then-ok`, expected: SERVED }),
    ),
    ...STATUSES.map((status) =>
      scripted({ id: 'U7', script: `dev/${status}-always`, expected: DOWN }),
    ),
    scripted({ id: 'U7', script: 'dev/503-then-ok-2', expected: { ...SERVED, calls: 3 } }),
    scripted({ id: 'U7', script: 'dev/503-html-then-ok', expected: SERVED }),
    scripted({ id: 'U7', script: 'dev/503-html-then-ok-9', expected: DOWN }),
    scripted({ id: 'U7', script: 'dev/503-always', endpoints: 2, expected: MOVED }),
    scripted({ id: 'U7', script: 'dev/503-html-then-ok-9', endpoints: 2, expected: MOVED }),
    scripted({ id: 'U9', script: 'dev/reset-then-ok', expected: SERVED }),
    scripted({ id: 'U9', script: 'dev/reset', expected: RESENT }),
    scripted({ id: 'U9', script: 'dev/reset', endpoints: 2, expected: MOVED_RESENT }),
  ],
};
