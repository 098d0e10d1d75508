import { once } from 'node:events';
import { createServer, request as sendRequest } from 'node:http';
import { startAzurite } from '../../../dev/azurite.ts';
import { prepareStorage } from '../../../dev/prepare-storage.ts';

/** The storage emulator behind a proxy that notes the requests for blobs. */
export interface CountedStorage {
  readonly connectionString: string;
  /** The requests since the last call, as method and path. */
  takeRequests(): readonly string[];
  stop(): Promise<void>;
}

export async function startCountedStorage(): Promise<CountedStorage> {
  const azurite = await startAzurite();
  await prepareStorage(azurite.connectionString);
  const { port: target } = new URL(endpointOf(azurite.connectionString));
  let requests: string[] = [];
  const proxy = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const { method, url: path, headers } = request;
    const options = { host: '127.0.0.1', port: target, method, path, headers };
    const forwarded = sendRequest(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const own = `http://127.0.0.1:${port}/`;
  return {
    connectionString: azurite.connectionString.replace(
      /BlobEndpoint=http:\/\/127\.0\.0\.1:\d+\//,
      `BlobEndpoint=${own}`,
    ),
    takeRequests() {
      const taken = requests;
      requests = [];
      return taken;
    },
    async stop() {
      proxy.closeAllConnections();
      proxy.close();
      await azurite.stop();
    },
  };
}

function endpointOf(connectionString: string): string {
  return /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '';
}
