import { type Agent, request as send, type ClientRequest, type IncomingMessage } from 'node:http';
import type { LibraryWorker } from './library-worker.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

export interface Sent {
  readonly request: ClientRequest;
  readonly answered: Promise<IncomingMessage>;
  readonly invoked: Promise<void>;
}

export interface SendOptions {
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly agent?: Agent;
}

/** Sends what the host would forward. Without a body the request stays open. */
export function postTo(worker: LibraryWorker, { body, headers = {}, agent }: SendOptions): Sent {
  const announced = worker.announce();
  const request = send(worker.url, {
    method: 'POST',
    agent: agent ?? false,
    headers: { ...JSON_TYPE, ...announced.headers, ...headers },
  });
  const { promise: answered, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once('response', resolve).on('error', reject);
  answered.catch(() => undefined);
  if (body !== undefined) request.end(body);
  return { request, answered, invoked: announced.invoked };
}

export async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}
