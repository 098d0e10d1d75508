import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** Headers that belong to one connection and are never passed on. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Answers of the host itself. */
export interface Answers {
  /** Adds the custom headers of host.json to names and values in turn, where a name is not taken. */
  withCustomHeaders(headers: string[]): string[];
  send(response: ServerResponse, status: number, content?: AnswerContent): void;
}

export interface AnswerContent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function createAnswers(customHeaders: Readonly<Record<string, string>>): Answers {
  const custom = Object.entries(customHeaders).map(
    ([name, value]) => [name, value, name.toLowerCase()] as const,
  );
  const withCustomHeaders = (headers: string[]): string[] => {
    const taken = new Set<string>();
    for (let index = 0; index < headers.length; index += 2) {
      taken.add((headers[index] ?? '').toLowerCase());
    }
    for (const [name, value, lower] of custom) {
      if (!taken.has(lower)) headers.push(name, value);
    }
    return headers;
  };
  return {
    withCustomHeaders,
    send(response, status, { headers = {}, body = '' } = {}) {
      if (response.headersSent || response.destroyed) return;
      const length = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))];
      response.writeHead(status, withCustomHeaders([...Object.entries(headers).flat(), ...length]));
      response.end(body);
    },
  };
}

/** Answers as the platform's web server does before the host has seen the request. */
export function refuse(
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'Content-Length': 0, ...headers });
  response.end();
}
