import { describe, expect, it } from 'vitest';
import { hostJson, startFixture } from './support/fixture-host.ts';

describe('the limits of host.json on requests', () => {
  it('let some run, some wait, and refuse the rest at once', async () => {
    const host = await startFixture('streaming', {
      environment: hostJson({
        'extensions.http.maxConcurrentRequests': '2',
        'extensions.http.maxOutstandingRequests': '4',
      }),
    });

    const responses = await Promise.all(Array.from({ length: 8 }, () => host.get('/late/300')));

    const refused = responses.filter(({ status }) => status === 429);
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(4);
    expect(refused).toHaveLength(4);
    expect(refused[0]?.headers.get('x-function-scaleout')).toBe('1');
    expect(refused[0]?.headers.get('x-content-type-options')).toBeNull();
    expect(await refused[0]?.text()).toBe('');
    expect((await host.get('/echo')).status).toBe(200);
  });
});
