import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { exchange, open, readAll, requestText } from './support/raw-http.ts';

const seenSchema = z.object({
  url: z.string(),
  headers: z.record(z.string(), z.string()),
  rawHeaders: z.array(z.string()),
  rawUrl: z.string(),
  params: z.record(z.string(), z.string()),
  query: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
  invocationId: z.string(),
  trace: z.unknown(),
});
let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming', {
    environment: { 'AzureWebJobs.switchedOff.Disabled': 'true', OWN_SETTING: 'x' },
  });
});
afterAll(() => host.stop());

async function seen(path: string, init?: RequestInit): Promise<z.infer<typeof seenSchema>> {
  const response = await host.get(path, init);
  return seenSchema.parse(await response.json());
}

function raw({ rawHeaders }: { readonly rawHeaders: readonly string[] }, name: string): string[] {
  return rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name,
  );
}

describe('a streamed request', () => {
  it('arrives with its address, its query as sent and its route values', async () => {
    const request = await seen('/ECHO/Ann?x=1&x=2&code=abc');

    expect(request.url).toBe(`${host.url}/ECHO/Ann?x=1&x=2&code=abc`);
    expect(request.query).toEqual([
      ['x', '1'],
      ['x', '2'],
      ['code', 'abc'],
    ]);
    expect(request.params).toEqual({ x: '1,2', name: 'Ann' });
  });

  it('has an encoded slash encoded twice in its address and once in its params', async () => {
    const request = await seen('/echo/a%2Fb%20c');

    expect(request.rawUrl).toBe('/echo/a%252Fb%20c');
    expect(request.url).toBe(`${host.url}/echo/a%252Fb%20c`);
    expect(request.params).toEqual({ name: 'a%2Fb c' });
  });

  it('leaves out of its params what is missing, and lets the route win over the query', async () => {
    const without = await seen('/echo');
    const shadowed = await seen('/echo/Ann?NAME=Eve');

    expect(without.params).toEqual({});
    // The name keeps the letter case of the query, the value is that of the route.
    expect(shadowed.params).toEqual({ NAME: 'Ann' });
  });

  it('takes the rest of the path into a catch-all value', async () => {
    expect((await seen('/files/a/b/c.txt')).params).toEqual({ rest: 'a/b/c.txt' });
    expect((await seen('/files')).params).toEqual({});
  });

  it('has an empty trace context, as without host telemetry', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

    const request = await seen('/echo', { headers: { traceparent } });

    expect(request.trace).toEqual({ traceParent: '', traceState: '', attributes: {} });
    expect(raw(request, 'traceparent')).toEqual([traceparent]);
  });

  it('reaches the proxy of the library with repeated headers joined and its address replaced', async () => {
    const text = requestText('GET /echo', [
      'X-Twice: 1',
      'X-Twice: 2',
      'X-Forwarded-For: 9.9.9.9',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil.example',
    ]);

    const answer = await exchange(host.port, text);

    const request = seenSchema.parse(JSON.parse(bodyOf(answer)));
    expect(raw(request, 'x-twice')).toEqual(['1, 2']);
    expect(request.headers['x-twice']).toBe('1, 2');
    expect(raw(request, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(request.headers['x-forwarded-for']).toBe('9.9.9.9');
    expect(request.url).toBe('http://example.org/echo');
    expect(raw(request, 'connection')).toEqual(['keep-alive']);
  });

  it('carries a body of known length and one in chunks', async () => {
    const known = await seen('/echo', { method: 'POST', body: 'known' });
    const chunked = await seen('/echo', chunkedPost('in chunks'));

    expect(known.body).toBe('known');
    expect(chunked.body).toBe('in chunks');
  });

  it('loses the body of a GET', async () => {
    const answer = await exchange(
      host.port,
      requestText('GET /echo', ['Content-Length: 4'], 'body'),
    );

    expect(seenSchema.parse(JSON.parse(bodyOf(answer))).body).toBe('');
  });
});

describe('the headers that the app sees', () => {
  it('are missing when the query has a key named headers', async () => {
    const request = await seen('/echo?headers=1', { headers: { authorization: 'real' } });

    expect(request.headers).toEqual({});
    expect(raw(request, 'authorization')).toEqual(['real']);
  });

  it('are replaced by a query key named Headers', async () => {
    const forged = encodeURIComponent('{"authorization":"forged"}');

    const request = await seen(`/echo?Headers=${forged}`, { headers: { authorization: 'real' } });

    expect(request.headers).toEqual({ authorization: 'forged' });
  });

  it('are replaced by a JSON body of known length, whatever its content type', async () => {
    const body = '{"Headers":{"authorization":"forged"}}';

    const known = await seen('/echo', { method: 'POST', body });
    const chunked = await seen('/echo', chunkedPost(body));

    expect(known.headers).toEqual({ authorization: 'forged' });
    expect(chunked.headers).toMatchObject({ 'transfer-encoding': 'chunked' });
  });

  it('stay when the query has a key named query', async () => {
    const request = await seen('/echo?query=1', { headers: { authorization: 'real' } });

    expect(request.headers).toMatchObject({ authorization: 'real' });
    expect(request.query).toEqual([['query', '1']]);
  });

  it('come with the scalars and objects of a JSON body as params, lists left out', async () => {
    const body = '{"text":"a","number":1,"flag":true,"list":[1],"object":{"a":1},"none":null}';

    const request = await seen('/echo/Ann', { method: 'POST', body });

    expect(request.params).toEqual({ text: 'a', number: '1', flag: 'True', name: 'Ann' });
  });
});

describe('a streamed answer', () => {
  it('arrives in pieces', async () => {
    const socket = await open(host.port);
    socket.write(requestText('GET /ticks/3'));
    const [first] = (await once(socket, 'data')) as [Buffer];

    const rest = await readAll(socket);

    expect(first.toString()).toContain('data: 0');
    expect(first.toString()).not.toContain('data: 2');
    expect(rest).toContain('data: 2');
    expect(rest.endsWith('0\r\n\r\n')).toBe(true);
  });

  it('has the custom headers of host.json unless the app has set its own', async () => {
    const own = await host.get('/ownHeader');
    const missing = await host.get('/no-such-route');

    expect(own.headers.get('x-own')).toBe('app');
    expect(own.headers.get('x-content-type-options')).toBe('nosniff');
    expect(own.headers.get('x-ms-invocation-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(missing.headers.get('x-own')).toBe('host');
  });

  it('has no transport security header over plain HTTP, even when host.json turns it on', async () => {
    expect((await host.get('/ownHeader')).headers.get('strict-transport-security')).toBeNull();
  });

  it('keeps cookies of the library apart and loses all but the last set-cookie header', async () => {
    const headers = await host.get('/cookies');
    const cookies = await host.get('/realCookies');

    expect(headers.headers.getSetCookie()).toEqual(['b=2']);
    expect(cookies.headers.getSetCookie()).toEqual(['a=1', 'b=2; HttpOnly']);
  });
});

describe('an app on the host', () => {
  it('sees its settings and the basics of a process, and no channel to the host', async () => {
    const { names, hasSend } = z
      .object({ names: z.array(z.string()), hasSend: z.boolean() })
      .parse(await (await host.get('/environment')).json());

    expect(names).toContain('OWN_SETTING');
    expect(names).toContain('PATH');
    expect(names.filter((name) => name.startsWith('VITEST'))).toEqual([]);
    expect(hasSend).toBe(false);
  });

  it('answers 404 for a disabled function, a wrong method or an unknown route', async () => {
    expect((await host.get('/switchedOff')).status).toBe(404);
    expect((await host.get('/ticks/1', { method: 'POST' })).status).toBe(404);
    expect((await host.get('/ticks/one')).status).toBe(404);
    expect((await host.get('/unknown')).status).toBe(404);
  });

  it('is warned of a log call after its function has ended, and of a trigger not imitated', async () => {
    await (await host.get('/logLate')).text();

    expect((await host.logged("Unexpected call to 'log'")).level).toBe('warning');
    expect((await host.logged('timerTrigger')).level).toBe('warning');
    expect((await host.logged('said too late')).category).toBe('Function.logLate.User');
  });

  it('needs no key unless the host enforces keys', async () => {
    expect((await host.get('/keyed')).status).toBe(200);
  });
});

function chunkedPost(body: string): RequestInit {
  return { method: 'POST', body: new Blob([body]).stream(), duplex: 'half' };
}

function bodyOf(answer: string): string {
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  return /\{.*\}/s.exec(body)?.[0] ?? '';
}
