import { describe, expect, it } from 'vitest';
import { mapTransportError } from '../../../../shared/model/openai/map-error.ts';
import { StaleConnectionError } from '../../../../shared/model/http-client.ts';

const reset = Object.assign(new Error('read ECONNRESET 192.0.2.7'), { code: 'ECONNRESET' });

describe('mapTransportError', () => {
  it('counts a connection that broke against the endpoint, and names no address', () => {
    const failure = mapTransportError(reset);

    expect(failure).toMatchObject({
      code: 'upstream_unavailable',
      remedy: 'later',
      unhealthy: true,
      cause: { code: 'ECONNRESET' },
    });
    expect(String(failure.cause)).not.toContain('192.0.2.7');
  });

  it('counts a kept connection that was closed as it was used against nobody', () => {
    expect(mapTransportError(new StaleConnectionError(reset))).toMatchObject({
      code: 'upstream_unavailable',
      remedy: 'later',
      unhealthy: false,
      cause: { code: 'ECONNRESET' },
    });
  });
});
