import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('buffered');
});
afterAll(() => host.stop());

const seenSchema = z.object({
  url: z.string(),
  headers: z.record(z.string(), z.string()),
  params: z.record(z.string(), z.string()),
  query: z.array(z.array(z.string())),
  body: z.string(),
  trace: z.unknown(),
});

describe('an app without streaming', () => {
  it('gets a request as a whole and answers as a whole', async () => {
    const response = await host.get('/api/echo/a%2Fb?x=1&x=2', {
      method: 'POST',
      body: '{"name":"Eve"}',
      headers: { 'x-empty': '' },
    });

    const request = seenSchema.parse(await response.json());
    expect(response.status).toBe(201);
    expect(response.headers.get('x-answer')).toBe('yes');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.getSetCookie()).toEqual(['a=1; path=/; samesite=lax']);
    expect(request.url).toBe(`${host.url}/api/echo/a%2Fb?x=1&x=2`);
    expect(request.query).toEqual([['x', '1,2']]);
    expect(request.params).toEqual({ name: 'a%2Fb' });
    expect(request.body).toBe('{"name":"Eve"}');
    expect(request.headers).not.toHaveProperty('x-empty');
    expect(request.trace).toEqual({ traceParent: '', traceState: '', attributes: {} });
  });

  it('gets an empty body for one that came in chunks', async () => {
    const response = await host.get('/api/echo', {
      method: 'POST',
      body: new Blob(['lost']).stream(),
      duplex: 'half',
    });

    expect(seenSchema.parse(await response.json()).body).toBe('');
  });

  it.each([
    ['throws', 500],
    ['plainText', 500],
    ['nothing', 204],
  ])('answers for a handler that %s with %s and nothing', async (name, status) => {
    const response = await host.get(`/api/${name}`);

    expect(response.status).toBe(status);
    expect(await response.text()).toBe('');
  });

  it('loads CommonJS and ES modules, each by its ending', async () => {
    expect(await (await host.get('/api/extra')).text()).toBe('from an .mjs file');
  });
});
