import { describe, expect, it } from 'vitest';
import { mapTransportError } from '../../../../shared/model/openai/map-error.ts';

const reset = Object.assign(new Error('read ECONNRESET 192.0.2.7'), { code: 'ECONNRESET' });

describe('mapTransportError', () => {
  it('counts a broken connection as a failure of the endpoint, without its address', () => {
    const failure = mapTransportError(reset);

    expect(failure).toMatchObject({
      code: 'upstream_unavailable',
      retryMode: 'backoff',
      countsAsFailure: true,
      cause: { code: 'ECONNRESET' },
    });
    expect(String(failure.cause)).not.toContain('192.0.2.7');
  });
});
