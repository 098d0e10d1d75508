import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { protectWorkerHttpServer } from '../../shared/http/worker-http-server.ts';
import { startLibraryWorker, type LibraryWorker } from './library-worker.ts';

let worker: LibraryWorker;
let handled = 0;
const others: Server[] = [];

beforeAll(async () => {
  protectWorkerHttpServer({
    log() {
      throw new Error('Log hooks require Azure Functions Host v4.34 or higher.');
    },
  });
  others.push(await startOther());
  worker = await startLibraryWorker(() => {
    handled += 1;
    return { status: 200, body: 'handled' };
  });
  others.push(await startOther());
});

afterAll(async () => {
  for (const server of others) server.close();
  await worker.close();
});

async function startOther(): Promise<Server> {
  const server = createServer((_request, response) => response.end('other'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

async function openSocket(port = Number(new URL(worker.url).port)): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  await once(socket, 'close');
  return text;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('the HTTP server of the library', () => {
  it('takes headers of 31 KB with control characters, and an expectation that it does not know', async () => {
    const { headers, invoked } = worker.announce();
    const socket = await openSocket();
    const large = `x-large: ${'x'.repeat(31_000)}\x01\x7f\r\n`;

    socket.write(
      `GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: foo\r\n${large}${linesOf(headers)}\r\n`,
    );
    const answer = await readAll(socket);
    await invoked;

    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('handled');
  });

  it('answers what its parser refuses, and the invocation ends without its function', async () => {
    const { headers, invoked } = worker.announce();
    const ended = expect(invoked).rejects.toThrow('Expected headers');
    const socket = await openSocket();
    const before = handled;

    socket.write(`GET /api/chat HTTP/1.1\r\nHost: a\r\nx-a;: b\r\n${linesOf(headers)}\r\n`);
    const answer = await readAll(socket);

    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain(`x-ms-invocation-id: ${headers['x-ms-invocation-id']}\r\n`);
    expect(answer).toContain('"code":"invalid_request"');
    await ended;
    expect(handled).toBe(before);
  });

  it('ends the invocation too when its id arrives after the bytes at fault', async () => {
    const { headers, invoked } = worker.announce();
    const ended = expect(invoked).rejects.toThrow('Expected headers');
    const socket = await openSocket();
    const answer = readAll(socket);

    socket.write('GET /api/chat HTTP/1.1\r\nHost: a\r\nx-a;: b\r\n');
    await once(socket, 'data');
    socket.write(`${linesOf(headers)}\r\n`);

    expect(await answer).toMatch(/^HTTP\/1\.1 400 /);
    await ended;
  });

  it('takes no id for the invocation from a body', async () => {
    const { headers, invoked } = worker.announce();
    const socket = await openSocket();
    const other = crypto.randomUUID();
    const body = `x-ms-invocation-id: ${other}\r\n\r\n`;

    socket.write(
      `POST /api/chat HTTP/1.1\r\nHost: a\r\nx-a;: b\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const answer = await readAll(socket);
    const next = await openSocket();
    next.write(`GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${linesOf(headers)}\r\n`);

    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).not.toContain('x-ms-invocation-id');
    expect(await readAll(next)).toMatch(/^HTTP\/1\.1 200 /);
    await invoked;
  });

  it('delivers the answer whole while the rest of a large request is on its way', async () => {
    const { headers, invoked } = worker.announce();
    const ended = expect(invoked).rejects.toThrow('Expected headers');
    const socket = await openSocket();
    const answer = readAll(socket);
    const body = Buffer.alloc(2_000_000, 'x');

    socket.write(
      `POST /api/chat HTTP/1.1\r\nHost: a\r\nx-a;: b\r\nContent-Length: ${body.length}\r\n${linesOf(headers)}\r\n`,
    );
    socket.write(body);

    expect((await answer).endsWith('}')).toBe(true);
    await ended;
  });

  it.each(['error', '__proto__', 'a, b', ''])(
    'answers a request at once whose invocation id is %j',
    async (id) => {
      const socket = await openSocket();

      socket.write(
        `GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-ms-invocation-id: ${id}\r\n\r\n`,
      );

      expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 400 /);
    },
  );
});

describe('another HTTP server of the process', () => {
  it.each([0, 1])(
    'stays as it is, started before or after that of the library: %s',
    async (index) => {
      const server = others[index];
      const socket = await openSocket(server === undefined ? 0 : portOf(server));

      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Name: a\x01b\r\n\r\n');
      const answer = await readAll(socket);

      expect(answer).toBe('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      expect(server?.listenerCount('clientError')).toBe(0);
      expect(server?.listenerCount('checkExpectation')).toBe(0);
      expect(server).not.toHaveProperty('maxHeaderSize', 65_536);
    },
  );
});
