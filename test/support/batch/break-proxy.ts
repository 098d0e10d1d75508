import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface BreakProxy {
  readonly port: number;
  /** Requests that reached the target, as `METHOD path?query`. */
  readonly passed: readonly string[];
  close(): Promise<void>;
}

/**
 * What becomes of a request. `lost`: the server does the work, and its answer does not come back.
 * `silent`: never answers. `stillborn`: the connection ends after the head of the answer, `cut`:
 * in the middle of it. `stuck`: nothing comes after its first part.
 */
export type Breakage =
  | 'lost'
  | 'refused'
  | 'silent'
  | 'stillborn'
  | 'cut'
  | 'stuck'
  | { readonly status: number; readonly code: string };

export interface BreakProxyOptions {
  readonly targetPort: number;
  /** Says how a request goes wrong; undefined when it does not. Asked once for each request. */
  readonly breaks: (request: IncomingMessage) => Breakage | undefined;
}

/** Enough for a few lines, and less than any file that is to break off. */
const BYTES_BEFORE_BREAK = 16_384;

/** Stands between a client and a server and breaks what passes. */
export async function startBreakProxy(options: BreakProxyOptions): Promise<BreakProxy> {
  const passed: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const breakage = options.breaks(incoming);
    if (breakage === 'silent') return;
    if (breakage === 'refused') return void outgoing.destroy();
    if (typeof breakage === 'object') return answerWith(outgoing, breakage);
    passed.push(`${incoming.method} ${incoming.url}`);
    forward(incoming, { outgoing, breakage, targetPort: options.targetPort });
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

/** An answer as storage gives it, with words that must not get any further. */
function answerWith(
  outgoing: ServerResponse,
  { status, code }: { readonly status: number; readonly code: string },
): void {
  const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words of storage</Message></Error>`;
  outgoing.writeHead(status, { 'content-type': 'application/xml', 'x-ms-error-code': code });
  outgoing.end(outgoing.req.method === 'HEAD' ? undefined : text);
}

interface Forwarding {
  readonly outgoing: ServerResponse;
  readonly breakage: Exclude<Breakage, object | 'refused' | 'silent'> | undefined;
  readonly targetPort: number;
}

function forward(
  incoming: IncomingMessage,
  { outgoing, breakage, targetPort: port }: Forwarding,
): void {
  const { method, url, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    if (breakage === 'lost') {
      answer.resume();
      answer.once('end', () => outgoing.destroy());
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
    if (breakage === undefined) return void answer.pipe(outgoing);
    outgoing.flushHeaders();
    let leftBytes = breakage === 'stillborn' ? 0 : BYTES_BEFORE_BREAK;
    answer.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, leftBytes);
      leftBytes -= part.byteLength;
      outgoing.write(part, () => {
        if (leftBytes === 0 && breakage !== 'stuck') outgoing.destroy();
      });
      if (leftBytes === 0) answer.destroy();
    });
  });
  onward.once('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
