import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { HOP_BY_HOP } from './answer.ts';
import type { Exchange, HttpContext } from './http-context.ts';

/** How a forwarded exchange ended. */
export type ForwardEnd = 'completed' | 'cut' | 'client left' | 'body too large';

/** A request on its way through the proxy that the library runs in the worker. */
export interface Forward {
  readonly ended: Promise<ForwardEnd>;
  /** Gives up: an answer that has begun is cut off without its end. */
  abort(): void;
}

export interface ForwardOptions {
  readonly port: number;
  readonly invocationId: string;
  /** The body as far as it had to be read before; else it is passed on as it comes. */
  readonly body: Buffer | undefined;
  readonly context: Pick<HttpContext, 'answers' | 'timings' | 'maxBody'>;
}

const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });

/** What the forwarder writes itself, whatever the client sent. */
const REPLACED = new Set([
  ...HOP_BY_HOP,
  'host',
  'expect',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-prefix',
  'x-ms-invocation-id',
]);

/** Sends a request to the worker and its answer back, with the pace of the slower side. */
export function openForward(exchange: Exchange, options: ForwardOptions): Forward {
  const { request, response } = exchange;
  const { promise: ended, resolve } = Promise.withResolvers<ForwardEnd>();
  let upstream: ClientRequest;
  let isOver = false;
  const end = (how: ForwardEnd): void => {
    if (isOver) return;
    isOver = true;
    resolve(how);
    if (how === 'completed') return;
    abortWhenSent(upstream);
    // The end of a body that cannot come must not look like the end of a body.
    if (how === 'cut' && response.headersSent) response.destroy();
  };
  const open = (isRetry: boolean): void => {
    upstream = createUpstream(exchange, options);
    upstream.once('response', (answer) => passBack(answer, { exchange, options, end }));
    upstream.once('timeout', () => end('cut'));
    upstream.on('error', () => {
      // A connection that the worker closed while it was idle; nothing of the request got there.
      const mayRetry = upstream.reusedSocket && !isRetry && !isStreamed(request, options);
      if (isOver || !mayRetry || response.headersSent) end('cut');
      else open(true);
    });
    sendBody(request, { upstream, options, end });
  };
  open(false);
  if (response.destroyed) end('client left');
  response.once('close', () => {
    if (!response.writableFinished) end('client left');
  });
  return { ended, abort: () => end('cut') };
}

function createUpstream(
  { request, target }: Exchange,
  { port, invocationId, context }: ForwardOptions,
): ClientRequest {
  return httpRequest({
    agent,
    host: '127.0.0.1',
    port,
    method: request.method,
    path: target.forwardedPath + target.search,
    headers: forwardedHeaders(request, { port, invocationId }),
    timeout: context.timings.forwardActivityMs,
  });
}

function forwardedHeaders(
  { rawHeaders, headers, socket }: IncomingMessage,
  { port, invocationId }: { readonly port: number; readonly invocationId: string },
): string[] {
  const result = ['Host', `localhost:${port}`];
  copyHeaders(rawHeaders, { into: result, except: REPLACED });
  result.push('x-ms-invocation-id', invocationId);
  result.push('x-forwarded-for', socket.remoteAddress ?? '127.0.0.1');
  result.push('x-forwarded-host', headers.host ?? '', 'x-forwarded-proto', 'http');
  if (headers['transfer-encoding'] !== undefined) result.push('Transfer-Encoding', 'chunked');
  return result;
}

function copyHeaders(
  rawHeaders: readonly string[],
  { into, except }: { readonly into: string[]; readonly except: ReadonlySet<string> },
): void {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!except.has(name.toLowerCase())) into.push(name, rawHeaders[index + 1] ?? '');
  }
}

interface Sending {
  readonly upstream: ClientRequest;
  readonly options: ForwardOptions;
  readonly end: (how: ForwardEnd) => void;
}

function sendBody(request: IncomingMessage, { upstream, options, end }: Sending): void {
  if (!isStreamed(request, options)) {
    upstream.end(options.body);
    return;
  }
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > options.context.maxBody) end('body too large');
  });
  request.pipe(upstream);
}

function isStreamed(request: IncomingMessage, { body }: ForwardOptions): boolean {
  return body === undefined && request.headers['transfer-encoding'] !== undefined;
}

interface PassingBack {
  readonly exchange: Exchange;
  readonly options: ForwardOptions;
  readonly end: (how: ForwardEnd) => void;
}

function passBack(answer: IncomingMessage, { exchange, options, end }: PassingBack): void {
  const { response } = exchange;
  if (response.destroyed || response.headersSent) {
    answer.destroy();
    return end('client left');
  }
  const headers: string[] = [];
  copyHeaders(answer.rawHeaders, { into: headers, except: HOP_BY_HOP });
  response.writeHead(answer.statusCode ?? 200, options.context.answers.withCustomHeaders(headers));
  answer.once('error', () => end('cut'));
  answer.once('close', () => {
    if (!answer.complete) end('cut');
  });
  response.once('finish', () => end('completed'));
  answer.pipe(response);
}

/** A function whose request never arrives would wait for it until the worker is killed: send it first. */
function abortWhenSent(upstream: ClientRequest): void {
  upstream.on('error', () => undefined);
  const { socket } = upstream;
  if (socket === null) {
    upstream.once('socket', () => setImmediate(() => abortWhenSent(upstream)));
  } else if (socket.connecting) {
    socket.once('connect', () => setImmediate(() => upstream.destroy()));
  } else upstream.destroy();
}
