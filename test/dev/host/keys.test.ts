import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runFixture, startFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';

const KEYS = {
  master: 'master-key',
  host: { default: 'host-key' },
  functions: { keyed: { default: 'own-key' }, echo: { default: 'other-key' } },
};

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming', { enableAuth: true, keys: KEYS });
});
afterAll(() => host.stop());

function ask(path: string, key?: string): Promise<Response> {
  return host.get(path, key === undefined ? {} : { headers: { 'x-functions-key': key } });
}

describe('a host that enforces keys', () => {
  it.each([
    ['/echo', undefined, 200],
    ['/echo', 'wrong', 200],
    ['/keyed', undefined, 401],
    ['/keyed', 'wrong', 401],
    ['/keyed', 'other-key', 401],
    ['/keyed', 'own-key', 200],
    ['/keyed', 'host-key', 200],
    ['/keyed', 'master-key', 200],
    ['/ownerOnly', 'own-key', 401],
    ['/ownerOnly', 'host-key', 401],
    ['/ownerOnly', 'master-key', 200],
    ['/admin/host/ping', undefined, 200],
    ['/admin/host/status', undefined, 401],
    ['/admin/host/status', 'wrong', 401],
    ['/admin/host/status', 'host-key', 403],
    ['/admin/host/status', 'own-key', 403],
    ['/admin/host/status', 'master-key', 200],
  ])('answers %s with the key %s by %s', async (path, key, status) => {
    const response = await ask(path, key);

    expect(response.status).toBe(status);
    await response.body?.cancel();
  });

  it('answers 401 with nothing but the custom headers, and a challenge below admin alone', async () => {
    const refused = await ask('/keyed');
    const admin = await ask('/admin/functions');

    expect(await refused.text()).toBe('');
    expect(refused.headers.get('x-content-type-options')).toBe('nosniff');
    expect(refused.headers.get('www-authenticate')).toBeNull();
    expect(admin.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('takes the key from the query, unless a header has one, even a wrong one', async () => {
    expect((await ask('/keyed?code=own-key')).status).toBe(200);
    expect((await ask('/keyed?CODE=own-key')).status).toBe(200);
    expect((await ask('/keyed?code=own-key', 'wrong')).status).toBe(401);
  });

  it('makes keys and prints them when it was given none', async () => {
    const other = await startFixture('streaming', { enableAuth: true });
    const { message } = await other.logged('function key: ');

    const key = message.replace('function key: ', '');

    expect((await other.get('/keyed')).status).toBe(401);
    expect((await other.get(`/keyed?code=${key}`)).status).toBe(200);
  });
});
