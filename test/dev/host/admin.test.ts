import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming');
});
afterAll(() => host.stop());

describe('the admin area', () => {
  it('answers a ping by GET and POST with nothing', async () => {
    const ping = await host.get('/admin/host/ping');

    expect(ping.status).toBe(200);
    expect(await ping.text()).toBe('');
    expect((await host.get('/admin/host/ping', { method: 'POST' })).status).toBe(200);
  });

  it('reports the state of the host', async () => {
    const status = await (await host.get('/admin/host/status')).json();

    expect(status).toMatchObject({ state: 'Running', processUptime: expect.any(Number) });
  });

  it('lists the functions', async () => {
    const all = await (await host.get('/admin/functions')).json();
    const one = await (await host.get('/admin/functions/ECHO')).json();

    expect(all).toContainEqual(expect.objectContaining({ name: 'echo', isDisabled: false }));
    expect(one).toMatchObject({ name: 'echo', config: { bindings: expect.any(Array) } });
    expect((await host.get('/admin/functions/none')).status).toBe(404);
  });

  it('drains and resumes', async () => {
    const drain = await host.get('/admin/host/drain', { method: 'POST' });
    const during = await (await host.get('/admin/host/drain/status')).json();
    const resume = await host.get('/admin/host/resume', { method: 'POST' });
    const after = await (await host.get('/admin/host/drain/status')).json();

    expect(drain.status).toBe(202);
    expect(during).toMatchObject({ state: 'Completed', outstandingInvocations: 0 });
    expect(resume.status).toBe(200);
    expect(after).toMatchObject({ state: 'Disabled' });
  });

  it('answers 404 to anything else', async () => {
    expect((await host.get('/admin/host/nothing')).status).toBe(404);
    expect((await host.get('/admin')).status).toBe(404);
  });
});
