import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';

/** An answer on its way to the caller, to be changed in place. */
export interface PassingAnswer {
  status: number;
  readonly headers: Record<string, string>;
  body: string;
}

export type Break = (request: IncomingMessage, answer: PassingAnswer) => void;

export interface BreakingProxy extends AsyncDisposable {
  readonly url: string;
}

/** A proxy in front of the app that breaks its answers as the test says. */
export async function startBreakingProxy(target: string, spoil: Break): Promise<BreakingProxy> {
  const server = createServer((request, response) => {
    function forward(answer: PassingAnswer): void {
      spoil(request, answer);
      response.writeHead(answer.status, answer.headers).end(answer.body);
    }
    // A client that disconnects, or an app that has stopped: the test sees a broken connection.
    void pass(target, request).then(forward, () => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function pass(target: string, request: IncomingMessage): Promise<PassingAnswer> {
  const method = request.method ?? 'GET';
  const body = await buffer(request);
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const response = await fetch(`${target}${request.url}`, {
    method,
    headers: Object.entries(headers)
      .filter(([name]) => name !== 'content-length' && name !== 'transfer-encoding')
      .map(([name, value]): [string, string] => [name, String(value)]),
    ...(body.byteLength === 0 ? {} : { body }),
  });
  const kept = [...response.headers].filter(
    ([name]) => !['content-length', 'transfer-encoding', 'connection'].includes(name),
  );
  return {
    status: response.status,
    headers: Object.fromEntries(kept),
    body: await response.text(),
  };
}
