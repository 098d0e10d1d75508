import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** One request as it arrived. */
export interface UpstreamRequest {
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
  /** Resolves when the answer is over, true where the caller hung up before its end. */
  readonly leftEarly: Promise<boolean>;
}

export interface UpstreamTurn {
  readonly request: UpstreamRequest;
  readonly response: ServerResponse;
  /** 1 for the first request. */
  readonly number: number;
}

/** What the upstream does with a request. */
export type Script = (turn: UpstreamTurn) => void | Promise<void>;

/** A real HTTP server that answers as the test says. */
export interface ScriptedUpstream extends AsyncDisposable {
  readonly baseUrl: string;
  readonly requests: readonly UpstreamRequest[];
  /** Connections that were ever opened. */
  connections(): number;
}

export async function startScriptedUpstream(script: Script): Promise<ScriptedUpstream> {
  const requests: UpstreamRequest[] = [];
  let connections = 0;
  const server = createServer((incoming, response) => {
    const leftEarly = new Promise<boolean>((resolve) => {
      response.once('close', () => resolve(!response.writableFinished));
    });
    async function answerTo(body: string): Promise<void> {
      const request: UpstreamRequest = {
        at: performance.now(),
        path: incoming.url ?? '',
        headers: incoming.headers,
        body: body === '' ? {} : (JSON.parse(body) as Record<string, unknown>),
        leftEarly,
      };
      requests.push(request);
      await script({ request, response, number: requests.length });
    }
    // A caller that hangs up while it sends has made no request.
    void text(incoming).then(answerTo, () => undefined);
  });
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    connections: () => connections,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The scripts one after the other; the last one also answers everything after it. */
export function inTurn(...scripts: readonly Script[]): Script {
  return (turn) => scripts[Math.min(turn.number, scripts.length) - 1]?.(turn);
}

/** An answer of any status; objects are sent as JSON. */
export function answer(
  status: number,
  body: unknown = '',
  headers: Record<string, string | string[]> = {},
): Script {
  const isText = typeof body === 'string';
  return ({ response }) => {
    response.writeHead(status, {
      'content-type': isText ? 'text/html' : 'application/json',
      ...headers,
    });
    response.end(isText ? body : JSON.stringify(body));
  };
}

/** An error in the shape of OpenAI's. */
export function refuse(
  status: number,
  error: Record<string, unknown> = {},
  headers: Record<string, string | string[]> = {},
): Script {
  return answer(status, { error: { message: 'canary upstream text', ...error } }, headers);
}

/** A good answer, streamed or not as the request asks. */
export function say(words: string): Script {
  return (turn) => {
    if (turn.request.body['stream'] === true) {
      return stream(chunk({ content: words }), chunk({}, 'stop'), '[DONE]')(turn);
    }
    return answer(200, completion({ content: words }))(turn);
  };
}

export function completion(message: Record<string, unknown>, finishReason = 'stop'): unknown {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'scripted',
    choices: [
      { index: 0, finish_reason: finishReason, message: { role: 'assistant', ...message } },
    ],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  };
}

export function chunk(delta: Record<string, unknown>, finishReason: string | null = null): unknown {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'scripted',
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  };
}

/** The bytes of one event. */
export function event(data: unknown): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

/** Opens an event stream and leaves it open. */
export function openStream(response: ServerResponse, ...data: readonly unknown[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  for (const one of data) response.write(event(one));
}

/** A stream of these events that ends properly. */
export function stream(...data: readonly unknown[]): Script {
  return ({ response }) => {
    openStream(response, ...data);
    response.end();
  };
}

/** Events, then the connection breaks. */
export function cutStream(...data: readonly unknown[]): Script {
  return ({ response }) => {
    openStream(response, ...data);
    // After the bytes have left, or the reader would see the break alone.
    setImmediate(() => setImmediate(() => response.socket?.resetAndDestroy()));
  };
}

/** No answer, the connection breaks. */
export function reset({ response }: UpstreamTurn): void {
  response.socket?.resetAndDestroy();
}

/** No answer, the connection stays. */
export function hang(): void {
  // Nothing is what a hanging upstream does.
}
