import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runFixture, startFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { exchange, open, readAll, requestText } from './support/raw-http.ts';

const LIMIT = 1_000;

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming', {
    environment: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(LIMIT) },
  });
});
afterAll(() => host.stop());

describe('the web server', () => {
  it('answers 414 to a request line over 8 KB', async () => {
    const fits = await exchange(host.port, requestText(`GET /echo?${'x'.repeat(8_000)}`));
    const over = await exchange(host.port, requestText(`GET /echo?${'x'.repeat(8_192)}`));

    expect(statusOf(fits)).toBe(200);
    expect(statusOf(over)).toBe(414);
  });

  it('answers 431 to headers over 32 KB or more than a hundred, without custom headers', async () => {
    const large = await exchange(
      host.port,
      requestText('GET /echo', [`X-Large: ${'x'.repeat(33_000)}`]),
    );
    const many = await exchange(
      host.port,
      requestText(
        'GET /echo',
        Array.from({ length: 120 }, (_, index) => `X-${index}: 1`),
      ),
    );

    expect(statusOf(large)).toBe(431);
    expect(large).not.toMatch(/x-content-type-options/i);
    expect(statusOf(many)).toBe(431);
  });

  it('answers 400 to a zero byte in the path', async () => {
    expect(statusOf(await exchange(host.port, requestText('GET /echo/a%00b')))).toBe(400);
  });

  it('resolves dots in a path before it looks for a route', async () => {
    expect(statusOf(await exchange(host.port, requestText('GET /no/../echo/./x')))).toBe(200);
  });
});

describe('a request body', () => {
  it('over the limit is answered at once with 500, nothing, and the end of the connection', async () => {
    const socket = await open(host.port);
    socket.write(
      `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${LIMIT + 1}\r\n\r\nonly the beginning`,
    );

    const answer = await readAll(socket);

    expect(statusOf(answer)).toBe(500);
    expect(answer).toMatch(/connection: close/i);
    expect(answer).toMatch(/x-content-type-options: nosniff/i);
    expect(answer.endsWith('\r\n\r\n')).toBe(true);
  });

  it('in chunks is answered so once it is over the limit', async () => {
    const socket = await open(host.port);
    socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write(`${(LIMIT * 2).toString(16)}\r\n${'x'.repeat(LIMIT * 2)}\r\n`);

    const answer = await readAll(socket);

    expect(statusOf(answer)).toBe(500);
    expect(answer).toMatch(/connection: close/i);
  });

  it('may have a hundred megabytes without the setting, and not a byte more', async () => {
    const roomy = await startFixture('buffered');
    const ask = async (length: number): Promise<string> => {
      const socket = await open(roomy.port);
      const answer = readAll(socket);
      socket.write(`POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
      setTimeout(() => socket.destroy(), 300);
      return answer;
    };

    expect(statusOf(await ask(104_857_601))).toBe(500);
    expect(await ask(104_857_600)).toBe('');
  });

  it('is not decompressed', async () => {
    const body = gzipSync('compressed');

    const response = await host.get('/echo', {
      method: 'POST',
      body,
      headers: { 'content-encoding': 'gzip' },
    });

    const seen = z.object({ body: z.string() }).parse(await response.json());
    expect(seen.body).not.toContain('compressed');
  });
});

describe('the host itself', () => {
  it('has a home page, unless it is turned off', async () => {
    const home = await host.get('/');
    const bare = await startFixture('buffered', {
      environment: { AzureWebJobsDisableHomepage: 'true' },
    });

    expect(home.status).toBe(200);
    expect(home.headers.get('content-type')).toBe('text/html');
    expect((await bare.get('/')).status).toBe(204);
  });
});

function statusOf(answer: string): number {
  return Number(answer.split(' ')[1]);
}
