import { app, type InvocationContext } from '@azure/functions';
import { subscribe } from 'node:diagnostics_channel';
import { IncomingMessage, Server, ServerResponse, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ServiceError } from '../errors.ts';
import { requestIdOf } from './request-context.ts';
import { toProblem } from '../protocols/problem-details.ts';
import { chooseTraceparent } from '../telemetry/spans.ts';

/** Announces each server of this process that begins to listen, before it accepts a connection. */
const LISTEN_CHANNEL = 'tracing:net.server.listen:asyncStart';
const INVOCATION_HEADER = 'x-ms-invocation-id';
const INVOCATION_LINE = /^x-ms-invocation-id: *([0-9a-f-]{36})\r$/im;
const INVOCATION_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const END_OF_HEAD = '\r\n\r\n';

/** Accepted by the server, in bytes. The host forwards up to 32 KB; Node accepts 16 KB by default. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Within this time the host reads the answer to a request that it is still sending. */
const LINGER_MS = 1_000;
/**
 * The host reads the answer and the end of the invocation on two connections. One that sees the end
 * first answers with 500, so the answer gets a head start.
 */
const HEAD_START_MS = 100;
/** Refused requests are reported at most once in this time. */
const REPORT_INTERVAL_MS = 60_000;

/** Stand for a request that cannot be read: the library gives up the invocation that gets them. */
const NO_REQUEST = new IncomingMessage(new Socket());
const NO_RESPONSE = new ServerResponse(NO_REQUEST);

/**
 * Keeps a request that the HTTP server of the Functions library refuses from ending the worker. The
 * host forwards requests to that server, in this process. A refused request never reaches its
 * function, so its invocation never ends, and after the functionTimeout the host replaces the worker
 * with all its calls. Here the server accepts what the host forwards; what it still refuses is
 * answered with a problem, and its invocation is ended.
 *
 * Call it while triggers register, which is before the library starts its server.
 */
export function protectWorkerHttpServer(hook: LogHook = app.hook): void {
  const seen = new WeakSet<Server>();
  subscribe(LISTEN_CHANNEL, (message) => {
    const { server } = message as { readonly server: unknown };
    if (!(server instanceof Server) || seen.has(server) || !isLibraryServer(server)) return;
    seen.add(server);
    protect(server, hook);
  });
}

/** The library exports its server nowhere; its one listener for requests reads invocation ids. */
function isLibraryServer(server: Server): boolean {
  const [listener, ...others] = server.listeners('request');
  return others.length === 0 && /\binvocationId\b/.test(String(listener));
}

function protect(server: Server, hook: LogHook): void {
  // Node reads both for each connection. A lenient parser is safe: the host writes requests anew.
  Object.assign(server, { maxHeaderSize: MAX_HEADER_BYTES, insecureHTTPParser: true });
  const endInvocation = (id: string): void => {
    markStarted(id);
    NO_REQUEST.headers[INVOCATION_HEADER] = id;
    server.emit('request', NO_REQUEST, NO_RESPONSE);
  };
  const report = createReport();
  const watch = watchUnstartedInvocations(hook, (id, response) => {
    if (response?.headersSent === true) return;
    report('not started');
    if (response !== undefined) answer(response, id);
    // Where it has ended already, this makes the library let go of the request.
    endInvocation(id);
  });
  const latest = new WeakMap<Duplex, ServerResponse>();
  server.prependListener('request', (request, response) => {
    if (request === NO_REQUEST) return;
    latest.set(request.socket, response);
    const id = request.headers[INVOCATION_HEADER];
    if (typeof id !== 'string') return;
    if (INVOCATION_ID.test(id)) return watch(id, response);
    // A client's. The library would emit an event of this name, and `error` ends the process.
    request.headers[INVOCATION_HEADER] = 'none';
    report('foreign invocation id');
    answer(response, 'none');
  });
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('clientError', (error, socket) => {
    const current = latest.get(socket);
    // An earlier response on a kept connection is complete; only one under way must not be mixed up.
    const isAnswering = current?.headersSent === true && !current.writableFinished;
    if (!socket.writable || isAnswering) {
      socket.destroy();
      return;
    }
    report('code' in error ? String(error.code) : error.name);
    answerUnparsed(error, { socket, endInvocation });
  });
}

/** Answers a request that reached the server. */
function answer(response: ServerResponse, id: string): void {
  const { status, headers, body } = createProblem(id);
  response.writeHead(status, headers);
  response.end(body);
}

interface Unparsed {
  readonly socket: Duplex;
  readonly endInvocation: (id: string) => void;
}

/**
 * Answers bytes that the parser refuses, and ends the invocation whose id stands in them. The host
 * writes the id behind the headers of the client, so it may arrive after the bytes at fault.
 */
function answerUnparsed(error: Error, { socket, endInvocation }: Unparsed): void {
  let head = '';
  let id: string | undefined;
  const read = (bytes: Buffer): void => {
    if (id !== undefined || head.length > MAX_HEADER_BYTES || head.includes(END_OF_HEAD)) return;
    head += bytes.toString('latin1');
    id = INVOCATION_LINE.exec(head.split(END_OF_HEAD, 1).join() + END_OF_HEAD)?.[1];
    settle();
  };
  let isAnswered = false;
  function settle(): void {
    if (isAnswered && id !== undefined) endInvocation(id);
  }
  // The parser would report each further piece as an error of its own.
  socket.removeAllListeners('data');
  socket.on('data', read);
  if ('rawPacket' in error && Buffer.isBuffer(error.rawPacket)) read(error.rawPacket);
  const { status, headers, body } = createProblem(id);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const statusAndHeaders = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}`;
  socket.end(`${statusAndHeaders}\r\n\r\n${body}`);
  setTimeout(() => {
    isAnswered = true;
    settle();
  }, HEAD_START_MS).unref();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function createProblem(id: string | undefined): {
  readonly status: number;
  readonly headers: Record<string, string | number>;
  readonly body: string;
} {
  const error = new ServiceError(
    'invalid_request',
    'Cannot read the request: its headers, and a field named headers, must be valid HTTP headers',
  );
  const requestId = requestIdOf(undefined);
  const problem = toProblem(error, requestId);
  const body = JSON.stringify(problem);
  const headers = {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-should-retry': 'false',
    'x-request-id': requestId,
    traceparent: chooseTraceparent(undefined, undefined),
    ...(id !== undefined && { [INVOCATION_HEADER]: id }),
    connection: 'close',
  };
  return { status: problem.status, headers, body };
}

/** Reports refused requests to the log of the host: the first at once, then one line a minute. */
function createReport(): (reason: string) => void {
  let count = 0;
  let isQuiet = false;
  return function report(reason) {
    count += 1;
    if (isQuiet) return;
    isQuiet = true;
    process.emitWarning(`Requests that did not reach a function: ${count}, last: ${reason}`);
    count = 0;
    setTimeout(() => {
      isQuiet = false;
    }, REPORT_INTERVAL_MS).unref();
  };
}

export type LogHook = Pick<typeof app.hook, 'log'>;

/** The worker logs each invocation with this line before it waits for the request. */
const ANNOUNCEMENT =
  /^Worker \S+ received FunctionInvocationRequest with invocationId ([0-9a-f-]{36})$/;

const CHECK_INTERVAL_MS = 500;
/** An invocation is given up after so many checks: 10 s in which this process was responsive. */
const MAX_CHECKS = 20;

interface Unstarted {
  checks: number;
  /** Undefined while the request has not arrived. */
  response: ServerResponse | undefined;
}

const unstarted = new Map<string, Unstarted>();

/** Marks an invocation as started: its function runs and answers for itself. */
export function markStarted(invocationId: string): void {
  unstarted.delete(invocationId);
}

/** Wraps a handler that is not an HTTP handler of this app so that its invocations count as started. */
export function startingInvocation<Input, Result>(
  handler: (input: Input, context: InvocationContext) => Result,
): (input: Input, context: InvocationContext) => Result {
  return (input, context) => {
    markStarted(context.invocationId);
    return handler(input, context);
  };
}

/**
 * Calls `abandon` for an invocation whose function has not started 10 s after its request, or the
 * worker's word of it, arrived. The library has refused the request then, or the host cannot forward
 * it; otherwise both arrive within milliseconds of each other. Time is counted in checks, so that a
 * blocked event loop abandons no invocation.
 *
 * Workers before 3.10 have no log hook: there only invocations whose request arrives are noticed.
 */
export function watchUnstartedInvocations(
  hook: LogHook,
  abandon: (invocationId: string, response: ServerResponse | undefined) => void,
): (invocationId: string, response: ServerResponse) => void {
  let timer: NodeJS.Timeout | undefined;
  const add = (id: string, response?: ServerResponse): void => {
    const known = unstarted.get(id);
    if (known === undefined) unstarted.set(id, { checks: 0, response });
    else known.response ??= response;
    timer ??= setInterval(check, CHECK_INTERVAL_MS).unref();
  };
  const check = (): void => {
    for (const [id, invocation] of unstarted) {
      invocation.checks += 1;
      if (invocation.checks < MAX_CHECKS) continue;
      unstarted.delete(id);
      abandon(id, invocation.response);
    }
    if (unstarted.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  try {
    hook.log(({ message }) => {
      const id = ANNOUNCEMENT.exec(message)?.[1];
      if (id !== undefined) add(id);
    });
  } catch {
    // The worker is too old for this hook.
  }
  return add;
}
