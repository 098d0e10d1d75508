import { channel } from 'node:diagnostics_channel';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import {
  HttpRequest,
  HttpResponse,
  InvocationContext,
  type HttpHandler,
  type HttpRequestInit,
} from '@azure/functions';
import { z } from 'zod';

export const URL_OF_CHAT = 'http://127.0.0.1/api/chat';
const JSON_HEADERS = { 'content-type': 'application/json' };

type Headers = Record<string, string>;

/** A POST with a body as it stands. */
export function postRaw(body: string | Uint8Array, headers: Headers = JSON_HEADERS): HttpRequest {
  const init = typeof body === 'string' ? { string: body } : { bytes: body };
  return new HttpRequest({ url: URL_OF_CHAT, method: 'POST', body: init, headers });
}

/** A POST of a value as JSON. */
export function postJson(value: unknown, headers: Headers = {}): HttpRequest {
  return postRaw(JSON.stringify(value), { ...JSON_HEADERS, ...headers });
}

/** A POST whose body comes in chunks, as the platform's proxy hands it out. */
export function postStream(
  body: ReadableStream<Uint8Array>,
  headers: Headers = JSON_HEADERS,
): HttpRequest {
  const nativeRequest = new Request(URL_OF_CHAT, { method: 'POST', body, headers, duplex: 'half' });
  return new HttpRequest({ nativeRequest } as HttpRequestInit);
}

export function get(url: string, headers: Headers = {}): HttpRequest {
  return new HttpRequest({ url, method: 'GET', headers });
}

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  instance: z.string(),
  retryable: z.boolean(),
  requestId: z.string(),
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

export interface Called {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
  json(): unknown;
  problem(): z.infer<typeof problemSchema>;
}

/** Calls a handler and reads its response as the library would write it. */
export async function call(
  handler: HttpHandler,
  request: HttpRequest,
  context: InvocationContext = new InvocationContext({ functionName: 'chat' }),
): Promise<Called> {
  const response = await open(handler, request, context);
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers.entries()),
    text,
    json: () => JSON.parse(text) as unknown,
    problem: () => problemSchema.parse(JSON.parse(text)),
  };
}

/** The response of a handler before its body is read. */
export async function open(
  handler: HttpHandler,
  request: HttpRequest,
  context: InvocationContext = new InvocationContext({ functionName: 'chat' }),
): Promise<HttpResponse> {
  const response = await handler(request, context);
  return new HttpResponse(response ?? {});
}

export interface StartedRequest {
  readonly context: InvocationContext;
  readonly response: ServerResponse;
  /** What the platform's proxy sees when the client is gone. */
  disconnect(): void;
}

let invocations = 0;

/** Announces a request as Node does for the platform's proxy, without any socket being opened. */
export function startRequest(headers: Headers = {}): StartedRequest {
  invocations += 1;
  const invocationId = `invocation-${invocations}`;
  const request = new IncomingMessage(new Socket());
  Object.assign(request.headers, { 'x-ms-invocation-id': invocationId, ...headers });
  const response = new ServerResponse(request);
  channel('http.server.request.start').publish({ request, response });
  return {
    context: new InvocationContext({ invocationId, functionName: 'chat' }),
    response,
    disconnect: () => void response.emit('close'),
  };
}
