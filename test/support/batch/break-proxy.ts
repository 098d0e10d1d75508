import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface BreakProxy {
  readonly port: number;
  /** Requests that reached the target, as `METHOD path?query`. */
  readonly passed: readonly string[];
  close(): Promise<void>;
}

export interface BreakProxyOptions {
  readonly targetPort: number;
  /** Says of a request, once it was answered, whether the answer is lost on its way back. */
  readonly losesAnswer: (request: IncomingMessage) => boolean;
}

/** Stands between a client and a server and loses answers: the server did the work all the same. */
export async function startBreakProxy(options: BreakProxyOptions): Promise<BreakProxy> {
  const passed: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    passed.push(`${method} ${url}`);
    const forward = request(
      { host: '127.0.0.1', port: options.targetPort, method, path: url, headers },
      (answer) => {
        if (options.losesAnswer(incoming)) {
          answer.resume();
          answer.once('end', () => outgoing.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
        answer.pipe(outgoing);
      },
    );
    forward.once('error', () => outgoing.destroy());
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    passed,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
