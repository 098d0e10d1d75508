import { describe, expect, it } from 'vitest';
import { chatStatus, type ObservedEndpoint } from '../../../shared/health/readiness.ts';

const NOW = 1_000;
const good: ObservedEndpoint = { name: 'a', circuit: 'closed' };
const open: ObservedEndpoint = { name: 'b', circuit: 'open' };
const cooling: ObservedEndpoint = { name: 'c', circuit: 'closed', coolingDownUntil: NOW + 1 };
const cooled: ObservedEndpoint = { name: 'd', circuit: 'closed', coolingDownUntil: NOW };
const probing: ObservedEndpoint = { name: 'e', circuit: 'half-open' };
const refused: ObservedEndpoint = {
  name: 'f',
  circuit: 'closed',
  lastSuccessAt: 500,
  lastFailureAt: 600,
  lastFailureCode: 'upstream_auth',
};

describe('chatStatus', () => {
  it.each([
    ['one good endpoint', [good], 'ready'],
    ['one whose pause is over', [cooled], 'ready'],
    ['one that is being tried again', [probing], 'ready'],
    ['a good and an open one', [good, open], 'degraded'],
    ['a pausing and a good one', [cooling, good], 'degraded'],
    ['only an open one', [open], 'unready'],
    ['an open and a pausing one', [open, cooling], 'unready'],
    ['none at all', [], 'unready'],
    ['one whose key is refused', [refused], 'unready'],
    ['one whose key is accepted again', [{ ...refused, lastSuccessAt: 700 }], 'ready'],
    [
      'one that failed for a moment',
      [{ ...refused, lastFailureCode: 'upstream_timeout' }],
      'ready',
    ],
  ] as const)('takes %s', (_name, endpoints, status) => {
    expect(chatStatus(endpoints, NOW).status).toBe(status);
  });

  it('gives a reason that names no endpoint', () => {
    expect(JSON.stringify(chatStatus([good, { ...open, name: 'gpt-secret' }], NOW))).not.toContain(
      'secret',
    );
  });
});
