import { scripted, type FaultCase, type FaultFamily } from '../fault-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { FAST_RETRIES } from '../settings.ts';

const CUT = { outcome: 'upstream_interrupted', calls: 1, textFirst: true } as const;
const UNREADABLE = { outcome: 'upstream_invalid', calls: 1, textFirst: true } as const;
const MOVED = { outcome: 'answer', calls: 1, fallbackCalls: 1, contains: SECOND_ANSWER } as const;

/** U10, U11, U15 and U17: streams that break, are incomplete, or are hard to parse. */
export const streams: FaultFamily = {
  name: 'streams',
  settings: FAST_RETRIES,
  lanes: 4,
  cases: [
    stream('U10', { script: 'dev/cut-5', expected: CUT }),
    stream('U10', { script: 'dev/cut-1', expected: CUT }),
    stream('U10', { script: 'dev/cut-5', endpoints: 2, expected: { ...CUT, fallbackCalls: 0 } }),
    stream('U10', { script: 'dev/cut-0', endpoints: 2, expected: MOVED }),
    stream('U10', { script: 'dev/cut-then-ok-0', expected: { outcome: 'answer', calls: 2 } }),
    stream('U10', {
      script: 'dev/cut-0',
      expected: { outcome: 'upstream_interrupted', calls: 3, textFirst: false },
    }),
    whole('U10', { script: 'dev/cut-then-ok-5', expected: { outcome: 'answer', calls: 2 } }),
    whole('U10', { script: 'dev/cut-5', endpoints: 2, expected: MOVED }),
    stream('U11', { script: 'dev/fin-5', expected: CUT }),
    stream('U11', { script: 'dev/no-done', expected: { outcome: 'answer', calls: 1 } }),
    stream('U11', {
      script: 'dev/empty-stream-then-ok',
      expected: { outcome: 'answer', calls: 2 },
    }),
    stream('U11', {
      script: 'dev/empty-stream',
      expected: { outcome: 'upstream_interrupted', calls: 3, textFirst: false },
    }),
    stream('U11', { script: 'dev/empty-stream', endpoints: 2, expected: MOVED }),
    stream('U15', { script: 'dev/sse-bad-json', expected: UNREADABLE }),
    stream('U15', { script: 'dev/sse-long-line', expected: UNREADABLE }),
    ...['crlf', 'bom', 'split-utf8', 'comments'].map((shape) =>
      stream('U15', { script: `dev/sse-${shape}`, expected: { outcome: 'answer', calls: 1 } }),
    ),
    stream('U17', { script: 'dev/error-in-stream-5', expected: CUT }),
    stream('U17', { script: 'dev/error-in-stream-0', endpoints: 2, expected: MOVED }),
  ],
};

type Part = Pick<Parameters<typeof scripted>[0], 'script' | 'expected' | 'endpoints'>;

function stream(id: string, part: Part): FaultCase {
  return scripted({ id, modes: ['stream'], ...part });
}

function whole(id: string, part: Part): FaultCase {
  return scripted({ id, modes: ['json'], ...part });
}
