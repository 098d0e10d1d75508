import { once } from 'node:events';
import { connect } from 'node:net';
import { custom, type FaultFamily, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { sendRequest } from '../send-request.ts';

const FOREIGN_ID = '0f8fad5b-d9cb-469f-a165-70867728950e';

/** A request that the platform forwards, or cannot forward, and what GET /health answers to it. */
export interface RefusedRequest {
  readonly what: string;
  readonly headers: readonly string[];
  readonly status: number;
}

/** Of these, only the function that is called can answer; the library calls none of them. */
export const REFUSED_REQUESTS: readonly RefusedRequest[] = [
  { what: 'headers of 17 KB together', headers: [`X-Large: ${'x'.repeat(17_000)}`], status: 200 },
  { what: 'headers of 31 KB together', headers: [`X-Large: ${'x'.repeat(31_000)}`], status: 200 },
  { what: 'an expectation that is not known', headers: ['Expect: foo'], status: 200 },
  { what: 'a control character in a header value', headers: ['X-Name: a\x01b'], status: 200 },
  { what: 'a delete character in a header value', headers: ['X-Name: a\x7fb'], status: 200 },
  { what: 'a header name that is no token', headers: ['x-a;: b'], status: 400 },
  { what: 'a control character in a header name', headers: ['x\x01a: b'], status: 400 },
  {
    what: 'an invocation id that is the name of an event',
    headers: ['x-ms-invocation-id: error'],
    status: 400,
  },
  {
    what: 'an invocation id that is the name of a property',
    headers: ['x-ms-invocation-id: __proto__'],
    status: 400,
  },
  {
    what: 'an invocation id of the right form',
    headers: [`x-ms-invocation-id: ${FOREIGN_ID}`],
    status: 400,
  },
  {
    what: 'UTF-8 outside ASCII in a header value',
    headers: ['X-Name: Andr\xc3\xa9'],
    status: 500,
  },
];

const LEVELS = 6_000;
const DEEP_LIST = '['.repeat(LEVELS) + ']'.repeat(LEVELS);
const DEEP_OBJECT = `${'{"a":'.repeat(LEVELS)}1${'}'.repeat(LEVELS)}`;
const NESTED: readonly (readonly [path: string, body: string])[] = [
  ['/api/chat', DEEP_OBJECT],
  ['/api/chat', `{"message":"a","Headers":${DEEP_OBJECT}}`],
  ['/v1/chat/completions', `{"model":"any","messages":${DEEP_LIST}}`],
  ['/v1/responses', `{"model":"any","input":${DEEP_LIST}}`],
  ['/v1/batches', `{"metadata":${DEEP_OBJECT}}`],
  ['/mcp', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${DEEP_OBJECT}}`],
];
/** Longer than the requests take, so that the stream goes on beside them. */
const NEIGHBOUR_TOKENS = 4_000;

/** T12 and T14: requests that the library or the parser does not survive. */
export const refusedRequests: FaultFamily = {
  name: 'refused requests',
  settings: {
    AGENT__LIMITS__STREAM_DEADLINE_MS: '60000',
    AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '60000',
  },
  lanes: 1,
  cases: [
    custom({
      id: 'T12',
      injected: `JSON nested ${LEVELS} levels deep, on each route that reads it`,
      promised: '400',
      modes: ['json'],
      run: sendNested,
    }),
    custom({
      id: 'T14',
      injected: `${REFUSED_REQUESTS.length} requests that the library's HTTP server refuses`,
      promised: 'each has an answer; a stream beside them goes on',
      modes: ['json'],
      run: sendRefused,
    }),
  ],
};

async function sendNested({ url }: FaultEnvironment): Promise<Finding> {
  const statuses = await Promise.all(
    NESTED.map(async ([path, body]) => {
      const headers = {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      };
      return (await fetch(url + path, { method: 'POST', headers, body })).status;
    }),
  );
  return {
    happened: statuses.join(', '),
    calls: 0,
    received: [],
    problems: NESTED.flatMap(([path], index) =>
      statuses[index] === 400 ? [] : [`${path} answers ${statuses[index]}`],
    ),
  };
}

async function sendRefused(environment: FaultEnvironment): Promise<Finding> {
  const neighbour = sendRequest(environment.url, {
    message: `dev/long-${NEIGHBOUR_TOKENS} ${newMarker()}`,
    mode: 'stream',
  });
  const statuses = await Promise.all(
    REFUSED_REQUESTS.map(async ({ headers }) => statusOf(environment.url, headers)),
  );
  const { outcome } = await neighbour;
  return {
    happened: `${statuses.join(', ')}; the stream: ${outcome}`,
    calls: 1,
    received: [],
    problems: [
      ...REFUSED_REQUESTS.flatMap(({ what, status }, index) =>
        statuses[index] === status ? [] : [`${what}: ${statuses[index]} instead of ${status}`],
      ),
      ...(outcome === 'answer' ? [] : [`the stream beside them ends with ${outcome}`]),
    ],
  };
}

/** The status of GET /health with these header lines, sent as they are; NaN without a response. */
async function statusOf(url: string, headers: readonly string[]): Promise<number> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  const lines = ['GET /health HTTP/1.1', 'Host: example.org', 'Connection: close', ...headers];
  socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
  await once(socket, 'close');
  return Number(Buffer.concat(chunks).toString('latin1').split(' ')[1]);
}
