import { scripted, type FaultFamily } from '../fault-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { FAST_RETRIES } from '../settings.ts';

const INVALID = { outcome: 'upstream_invalid', calls: 2 } as const;
const MOVED = { outcome: 'answer', calls: 1, fallbackCalls: 1, contains: SECOND_ANSWER } as const;
const FILTERED = { outcome: 'content_filtered', calls: 1 } as const;
const MISCONFIGURED = { outcome: 'upstream_misconfigured', calls: 1 } as const;

/** U16, U18, U19 and U21: an upstream that answers, but with nothing that a caller may receive. */
export const answers: FaultFamily = {
  name: 'answers',
  settings: FAST_RETRIES,
  lanes: 4,
  cases: [
    ...['html', 'null-content', 'bad-tool-calls', 'truncated'].map((what) =>
      scripted({ id: 'U16', script: `dev/200-${what}`, expected: INVALID }),
    ),
    ...['no-choices', 'empty-object'].map((what) =>
      scripted({ id: 'U16', script: `dev/200-${what}`, modes: ['json'], expected: INVALID }),
    ),
    // Valid streams also begin with events without choices; these never have any.
    ...['no-choices', 'empty-object'].map((what) =>
      scripted({
        id: 'U16',
        script: `dev/200-${what}`,
        modes: ['stream'],
        expected: { outcome: 'upstream_interrupted', calls: 3, textFirst: false },
      }),
    ),
    scripted({ id: 'U16', script: 'dev/200-huge', expected: INVALID }),
    scripted({
      id: 'U16',
      script: 'dev/200-html-then-ok',
      expected: { outcome: 'answer', calls: 2 },
    }),
    scripted({ id: 'U16', script: 'dev/200-html', endpoints: 2, expected: MOVED }),
    scripted({ id: 'U18', script: 'dev/content-filter', expected: FILTERED }),
    scripted({ id: 'U18', script: 'dev/content-filter', endpoints: 2, expected: FILTERED }),
    scripted({ id: 'U18', script: 'dev/content-filter-finish', expected: FILTERED }),
    scripted({ id: 'U18', script: 'dev/content-filter-stream', expected: FILTERED }),
    scripted({
      id: 'U19',
      script: 'dev/context-length-1',
      expected: { outcome: 'context_too_long', calls: [1, 2] },
    }),
    scripted({ id: 'U21', script: 'dev/404', expected: MISCONFIGURED }),
    scripted({ id: 'U21', script: 'dev/400', expected: MISCONFIGURED }),
    scripted({ id: 'U21', script: 'dev/404', endpoints: 2, expected: MOVED }),
  ],
};
