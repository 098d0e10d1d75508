import { Agent, request as httpRequest, validateHeaderName, validateHeaderValue } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { HOP_BY_HOP } from './answer.ts';
import type { HttpCall, HttpContext } from './http-context.ts';
import { joinHeader } from './request-headers.ts';
import type { RequestHeaders } from './request-headers.ts';

/**
 * How a forwarded call ended. `completed`: the function answered. `refused`: the library's HTTP
 * server answered by itself. `not forwarded`: the forwarder refuses the request.
 */
export type ForwardEnd =
  | 'completed'
  | 'refused'
  | 'not forwarded'
  | 'cut'
  | 'client disconnected'
  | 'body too large';

/** A request on its way through the proxy that the library runs in the worker. */
export interface Forward {
  readonly ended: Promise<ForwardEnd>;
  /** Ends the answer of a `completed` or `refused` call; without a body it is sent only now. */
  finish(): void;
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

export const INVOCATION_HEADER = 'x-ms-invocation-id';

const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });

/** What the forwarder writes itself, whatever the client sent. */
const REPLACED = new Set([
  ...HOP_BY_HOP,
  'host',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-prefix',
  INVOCATION_HEADER,
]);

/** Sends a request to the worker and its answer back, with the pace of the slower side. */
export function openForward(call: HttpCall, options: ForwardOptions): Forward {
  const { response } = call;
  const { promise: ended, resolve } = Promise.withResolvers<ForwardEnd>();
  const headers = forwardedHeaders(call, options);
  let upstream: ClientRequest | undefined;
  let finish = (): void => undefined;
  let isOver = false;
  const end = (how: ForwardEnd): void => {
    if (isOver) return;
    isOver = true;
    resolve(how);
    if (how === 'completed' || how === 'refused') return;
    if (upstream !== undefined) abortWhenSent(upstream);
    // The end of a body that cannot come must not look like the end of a body.
    if (how === 'cut' && response.headersSent) response.destroy();
  };
  const open = (isRetry: boolean): void => {
    // Other unused connections may be closed too, so a second try uses a new one.
    const sent = createUpstream(call, { headers, options, agent: isRetry ? false : agent });
    upstream = sent;
    sent.once('response', (answer) => {
      finish = passBack(answer, { call, options, end });
    });
    sent.once('timeout', () => end('cut'));
    sent.on('error', () => {
      // A connection that the worker closed while it was idle; nothing of the request got there.
      const mayRetry = sent.reusedSocket && !isRetry && !isStreamed(call, options);
      if (isOver || !mayRetry || response.headersSent) end('cut');
      else open(true);
    });
    sendBody(call, { upstream: sent, options, end });
  };
  if (headers.every(isAscii)) open(false);
  else end('not forwarded');
  if (response.destroyed) end('client disconnected');
  response.once('close', () => {
    if (!response.writableFinished) end('client disconnected');
  });
  return { ended, finish: () => finish(), abort: () => end('cut') };
}

interface Upstream {
  readonly headers: readonly string[];
  readonly options: ForwardOptions;
  readonly agent: Agent | false;
}

function createUpstream(
  { request, target }: HttpCall,
  { headers, agent: connections, options: { port, context } }: Upstream,
): ClientRequest {
  const accepted: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = headers.slice(index, index + 2);
    if (isAcceptedByNode(name, value)) accepted.push(name, value);
  }
  const upstream = httpRequest({
    agent: connections,
    host: '127.0.0.1',
    port,
    method: request.method,
    path: target.forwardedPath + target.search,
    headers: accepted,
    timeout: context.timings.forwardActivityMs,
  });
  if (accepted.length < headers.length) sendAllHeaders(upstream, headers);
  return upstream;
}

function isAcceptedByNode(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

/** Node's client has no way to send such headers, the platform's forwarder sends them. */
function sendAllHeaders(upstream: ClientRequest, headers: readonly string[]): void {
  const head: unknown = Reflect.get(upstream, '_header');
  const [requestLine = ''] = String(head).split('\r\n');
  const lines = [requestLine];
  for (let index = 0; index < headers.length; index += 2) {
    lines.push(`${headers[index]}: ${headers[index + 1]}`);
  }
  if (upstream.shouldKeepAlive) lines.push('Connection: keep-alive');
  Reflect.set(upstream, '_header', `${lines.join('\r\n')}\r\n\r\n`);
}

/** Names and values in turn; the lines of a repeated header become one. */
function forwardedHeaders(
  { request, headers }: HttpCall,
  { port, invocationId }: ForwardOptions,
): string[] {
  const result = ['Host', `localhost:${port}`];
  for (const [lowerName, { name }] of headers) {
    const value = joinHeader(headers, lowerName) ?? '';
    // A client that expects `100-continue` has been answered when the host began to read its body.
    const isMet = lowerName === 'expect' && value.toLowerCase() === '100-continue';
    if (!REPLACED.has(lowerName) && !isMet) result.push(name, value);
  }
  // The platform adds its own id only where the client has sent none.
  result.push(INVOCATION_HEADER, joinHeader(headers, INVOCATION_HEADER) ?? invocationId);
  result.push('x-forwarded-for', request.socket.remoteAddress ?? '127.0.0.1');
  result.push('x-forwarded-host', joinHeader(headers, 'host') ?? '', 'x-forwarded-proto', 'http');
  if (isChunked(headers)) result.push('Transfer-Encoding', 'chunked');
  return result;
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are ASCII
  return /^[\x00-\x7f]*$/.test(text);
}

function isChunked(headers: RequestHeaders): boolean {
  return headers.has('transfer-encoding');
}

interface Sending {
  readonly upstream: ClientRequest;
  readonly options: ForwardOptions;
  readonly end: (how: ForwardEnd) => void;
}

function sendBody(call: HttpCall, { upstream, options, end }: Sending): void {
  if (!isStreamed(call, options)) {
    upstream.end(options.body);
    return;
  }
  const { request } = call;
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > options.context.maxBody) end('body too large');
  });
  request.pipe(upstream);
}

function isStreamed({ headers }: HttpCall, { body }: ForwardOptions): boolean {
  return body === undefined && isChunked(headers);
}

interface PassingBack {
  readonly call: HttpCall;
  readonly options: ForwardOptions;
  readonly end: (how: ForwardEnd) => void;
}

/**
 * Passes an answer back as the platform's forwarder does: its head goes out with the first bytes of
 * its body, and its end once the invocation has ended. Returns what ends it.
 */
function passBack(
  answer: IncomingMessage,
  { call: { response }, options, end }: PassingBack,
): () => void {
  if (response.destroyed || response.headersSent) {
    answer.destroy();
    end('client disconnected');
    return () => undefined;
  }
  const headers: string[] = [];
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    const name = answer.rawHeaders[index] ?? '';
    if (HOP_BY_HOP.has(name.toLowerCase())) continue;
    headers.push(name, answer.rawHeaders[index + 1] ?? '');
  }
  const sendHead = (): void => {
    if (response.headersSent || response.destroyed) return;
    const { answers } = options.context;
    response.writeHead(answer.statusCode ?? 200, answers.withCustomHeaders(headers));
  };
  answer.once('error', () => end('cut'));
  answer.once('close', () => {
    if (!answer.complete) end('cut');
  });
  answer.once('end', () => end(INVOCATION_HEADER in answer.headers ? 'completed' : 'refused'));
  answer.once('data', (chunk: Buffer) => {
    sendHead();
    response.write(chunk);
    answer.pipe(response, { end: false });
  });
  return () => {
    sendHead();
    response.end();
  };
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
