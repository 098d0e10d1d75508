import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { createHttpClient } from '../../shared/model/http-client.ts';
import {
  createProxySelector,
  prepareProxyVariables,
  supportsProxies,
} from '../../shared/model/proxy.ts';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { createRecordedTelemetry } from '../support/recorded-telemetry.ts';
import { createSelfSignedCertificate } from '../support/self-signed-certificate.ts';
import {
  chunk,
  completion,
  event,
  say,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';

function selector(environment: Record<string, string>) {
  const telemetry = createRecordedTelemetry();
  const select = createProxySelector({ environment, telemetry });
  return { telemetry, proxyOf: (address: string) => select(new URL(address)) };
}

const PROXY = 'http://proxy.example:3128/';
const OTHER = 'http://other.example:8080/';

describe('F9 the proxy of an address', () => {
  it.each([
    ['HTTP_PROXY', 'http://model.example/v1', PROXY],
    ['http_proxy', 'http://model.example/v1', PROXY],
    ['HTTPS_PROXY', 'https://model.example/v1', PROXY],
    ['https_proxy', 'https://model.example/v1', PROXY],
    ['ALL_PROXY', 'http://model.example/v1', PROXY],
    ['all_proxy', 'https://model.example/v1', PROXY],
    ['HTTP_PROXY', 'https://model.example/v1', undefined],
    ['HTTPS_PROXY', 'http://model.example/v1', undefined],
  ])('with %s for %s is %s', (name, address, expected) => {
    expect(selector({ [name]: PROXY }).proxyOf(address)).toBe(expected);
  });

  it('is that of the lower case name and of the protocol first', () => {
    const { proxyOf } = selector({ HTTPS_PROXY: OTHER, https_proxy: PROXY, ALL_PROXY: OTHER });

    expect(proxyOf('https://model.example/v1')).toBe(PROXY);
    expect(proxyOf('http://model.example/v1')).toBe(OTHER);
  });

  it.each([
    ['localhost', 'http://localhost:11434/v1'],
    ['a name below localhost', 'http://model.localhost/v1'],
    ['127.0.0.1', 'http://127.0.0.1:11434/v1'],
    ['another loopback address', 'https://127.8.8.8/v1'],
    ['a short loopback address', 'http://127.1/v1'],
    ['::1', 'http://[::1]:11434/v1'],
    ['a mapped loopback address', 'http://[::ffff:127.0.0.1]/v1'],
  ])('is never used for %s', (_name, address) => {
    expect(selector({ ALL_PROXY: PROXY }).proxyOf(address)).toBeUndefined();
  });

  it.each([
    ['*', 'https://model.example/v1', false],
    ['model.example', 'https://model.example/v1', false],
    ['MODEL.example', 'https://model.EXAMPLE/v1', false],
    ['example', 'https://model.example/v1', false],
    ['.example', 'https://model.example/v1', false],
    ['*.example', 'https://model.example/v1', false],
    ['odel.example', 'https://model.example/v1', true],
    ['other.example, model.example', 'https://model.example/v1', false],
    ['other.example model.example', 'https://model.example/v1', false],
    ['model.example:443', 'https://model.example/v1', false],
    ['model.example:8443', 'https://model.example/v1', true],
    ['10.1.2.3', 'http://10.1.2.3/v1', false],
    ['10.0.0.0/8', 'http://10.1.2.3/v1', false],
    ['10.0.0.0/8', 'http://11.1.2.3/v1', true],
    ['fd00::/8', 'http://[fd12::1]/v1', false],
    ['', 'https://model.example/v1', true],
    ['10.0.0.0/99', 'http://10.1.2.3/v1', true],
  ])('with NO_PROXY=%s for %s is used: %s', (noProxy, address, isUsed) => {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const { proxyOf } = selector({ ALL_PROXY: PROXY, [name]: noProxy });

      expect(proxyOf(address) !== undefined).toBe(isUsed);
    }
  });

  it.each([
    ['proxy.example:3128', PROXY],
    ['  http://proxy.example:3128  ', PROXY],
    ['https://proxy.example:3128', 'https://proxy.example:3128/'],
    ['http://user:secret@proxy.example:3128', 'http://user:secret@proxy.example:3128/'],
  ])('may be written as %s', (value, expected) => {
    expect(selector({ HTTPS_PROXY: value }).proxyOf('https://model.example')).toBe(expected);
  });

  it.each(['socks5://user:canary@proxy.example:1080', 'http://', '::canary::'])(
    'is ignored for %s, and the log names the variable',
    (value) => {
      const { proxyOf, telemetry } = selector({ ALL_PROXY: value });

      expect(proxyOf('https://model.example')).toBeUndefined();
      expect(telemetry.lines).toMatchObject([
        { message: 'proxy variable ignored', fields: { variable: 'ALL_PROXY' } },
      ]);
      expect(JSON.stringify(telemetry.lines)).not.toContain('canary');
    },
  );
});

describe('supportsProxies', () => {
  it.each([
    ['20.20.2', false],
    ['22.20.0', false],
    ['22.21.0', true],
    ['23.11.0', false],
    ['24.4.1', false],
    ['24.21.0', true],
    ['26.0.0', true],
  ])('of Node %s is %s', (version, expected) => {
    expect(supportsProxies(version)).toBe(expected);
  });
});

describe('prepareProxyVariables', () => {
  const LOCAL = 'localhost,.localhost,127.0.0.1,::1,[::1],169.254.169.254';

  it.each([
    [{}, { NO_PROXY: LOCAL }],
    [{ NO_PROXY: '10.0.0.0/8, localhost' }, { NO_PROXY: `10.0.0.0/8,${LOCAL}` }],
    [
      { no_proxy: '*.Vault.azure.net', NO_PROXY: 'b.example' },
      { NO_PROXY: `*.Vault.azure.net,vault.azure.net,.vault.azure.net,${LOCAL}` },
    ],
    [
      { https_proxy: 'a:1', HTTPS_PROXY: OTHER },
      { HTTPS_PROXY: 'http://a:1', NO_PROXY: LOCAL },
    ],
    [{ ALL_PROXY: OTHER, NO_PROXY: '*' }, { NO_PROXY: `*,${LOCAL}` }],
  ])('rewrites %j for clients with other rules', (environment, expected) => {
    const prepared: Record<string, string> = { ...environment };

    prepareProxyVariables(prepared);

    expect(prepared).toEqual(expected);
  });
});

/** A forward proxy that answers plain requests itself and passes tunnels to `tunnelTo`. */
async function startProxy(tunnelTo?: number) {
  const requests: { line: string; authorization: string | undefined }[] = [];
  function note({ method, url, headers }: IncomingMessage): void {
    requests.push({
      line: `${method} ${url}`,
      authorization: headers['proxy-authorization'],
    });
  }
  const server = createServer((request, response) => {
    note(request);
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(event(chunk({ content: 'through the proxy' })) + event(chunk({}, 'stop')));
  });
  server.on('connect', (request: IncomingMessage, socket) => {
    note(request);
    if (tunnelTo === undefined) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const target = connect(tunnelTo, '127.0.0.1');
    target.on('error', () => socket.destroy());
    socket.on('error', () => target.destroy());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(target).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    requests,
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function modelThrough(environment: Record<string, string>, baseUrl: string) {
  const proxyFor = createProxySelector({ environment, telemetry: createRecordedTelemetry() });
  return createModelUnderTest({
    endpoints: [baseUrl],
    settings: { maxAttempts: 1, attemptTimeoutMs: 3_000 },
    httpClient: createHttpClient(proxyFor),
  });
}

describe('F9 model calls through a proxy', () => {
  it('send plain requests to it, with its credentials', async () => {
    await using proxy = await startProxy();
    const { stream } = modelThrough(
      { HTTP_PROXY: `http://user:secret@${proxy.host}` },
      'http://model.example/v1',
    );

    const texts = [(await stream()).text, (await stream()).text];

    expect(texts).toEqual(Array(2).fill('through the proxy'));
    expect(proxy.requests[0]).toEqual({
      line: 'POST http://model.example/v1/chat/completions',
      authorization: `Basic ${Buffer.from('user:secret').toString('base64')}`,
    });
  });

  it('send TLS requests through a tunnel', async () => {
    const certificate = createSelfSignedCertificate('model.example');
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, certificate.cert]);
    const server = createTlsServer(certificate, (request, response) => {
      request.resume();
      response.end(JSON.stringify(completion({ content: 'through the tunnel' })));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await using proxy = await startProxy((server.address() as AddressInfo).port);
    const { complete } = modelThrough({ https_proxy: proxy.url }, 'https://model.example/v1');

    const texts = [(await complete()).text, (await complete()).text];

    expect(texts).toEqual(Array(2).fill('through the tunnel'));
    expect(proxy.requests.map(({ line }) => line)).toEqual(['CONNECT model.example:443']);
    setDefaultCACertificates(before);
    server.closeAllConnections();
    server.close();
  });

  it('fail behind a tunnel to a server without TLS', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const port = Number(new URL(upstream.baseUrl).port);
    await using proxy = await startProxy(port);
    const { complete } = modelThrough({ https_proxy: proxy.url }, 'https://model.example/v1');

    // The target of the tunnel does not speak TLS, so the call fails behind the tunnel.
    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(proxy.requests[0]?.line).toBe('CONNECT model.example:443');
    expect(upstream.requests).toHaveLength(0);
  });

  it('fail as an endpoint that cannot be reached where the proxy refuses', async () => {
    await using proxy = await startProxy();
    const { complete, lines } = modelThrough({ ALL_PROXY: proxy.url }, 'https://model.example/v1');

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(JSON.stringify([failure.message, lines])).not.toContain(proxy.host);
  });

  it('go directly to a loopback endpoint', async () => {
    await using proxy = await startProxy();
    await using upstream = await startScriptedUpstream(say('hello'));
    const { complete } = modelThrough({ ALL_PROXY: proxy.url }, upstream.baseUrl);

    expect((await complete()).text).toBe('hello');
    expect(proxy.requests).toEqual([]);
  });
});
