import { once } from 'node:events';
import { createServer } from 'node:http';
import { onTestFinished } from 'vitest';

export interface FakeGitHub {
  readonly url: string;
  readonly requests: readonly string[];
}

/** GitHub's API on loopback: returns the body of each path to a request with the token of the test. */
export async function startFakeGitHub(
  bodies: Readonly<Record<string, unknown>>,
): Promise<FakeGitHub> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const isAuthorized = request.headers.authorization === 'Bearer a-token';
    const body = isAuthorized ? bodies[request.url ?? ''] : undefined;
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, requests };
}
