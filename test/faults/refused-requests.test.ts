import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { REFUSED_REQUESTS } from '../../dev/faults/cases/refused-requests.ts';
import { exchange, requestText } from '../dev/host/support/raw-http.ts';
import { postChat } from '../e2e/support/post-chat.ts';
import { readEvents, type ReceivedEvent } from '../e2e/support/read-events.ts';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';

const TOKENS = 450;
const TOKEN_DELAY_MS = 20;

/** Longer than the app waits before it gives up an invocation whose function does not start. */
const FUNCTION_TIMEOUT = '00:00:30';

/** Every header of a chat that the app reads, each with a control character. */
const READ_HEADERS = [
  'x-request-id: a\x01b',
  'traceparent: 00-\x01-00',
  'tracestate: a=\x02',
  'x-forwarded-for: 203.0.113.7\x03',
  'authorization: Bearer a\x04b',
  'x-functions-key: a\x05b',
  'x-ms-client-principal: a\x06b',
  'cache-control: no-store\x0e',
  'user-agent: a\x7fb',
];
const HEADERS_FIELD = '{"Headers":{"not a name":"x"}}';

const problemSchema = z.object({ status: z.number(), error: z.object({ code: z.string() }) });

let environment: TestEnvironment;
let worker: number | undefined;
let neighbour: Promise<readonly ReceivedEvent[]>;
let answers: ReadonlyMap<string, string>;
beforeAll(async () => {
  environment = await startEnvironment({
    tokenDelayMs: TOKEN_DELAY_MS,
    settings: { AzureFunctionsJobHost__functionTimeout: FUNCTION_TIMEOUT },
    timings: { timeoutGraceMs: 200, timeoutAnswerMs: 200 },
  });
  worker = environment.host.workerPid();
  const chat = await postChat(environment.url, {
    message: `dev/long-${TOKENS} Hello`,
    stream: true,
  });
  neighbour = readEvents(chat).then(({ events }) => events);
  const texts = REFUSED_REQUESTS.map(
    ({ what, headers }) => [what, requestText('GET /health', headers)] as const,
  );
  answers = new Map(
    await Promise.all(
      [
        ...texts,
        ['a query field named headers', requestText('GET /health?Headers=[1]')] as const,
        ['a body field named headers', chatText(HEADERS_FIELD)] as const,
        ['headers that the app reads', chatText('{"message":"Hi"}', READ_HEADERS)] as const,
      ].map(async ([what, text]) => [what, await send(text)] as const),
    ),
  );
}, 60_000);
afterAll(() => environment.stop());

function send(text: string): Promise<string> {
  return exchange(environment.host.port, Buffer.from(text, 'latin1'));
}

function chatText(body: string, headers: readonly string[] = []): string {
  const own = ['Content-Type: application/json', `Content-Length: ${body.length}`];
  return requestText('POST /api/chat', [...own, ...headers], body);
}

function statusOf(answer: string | undefined): number {
  return Number(answer?.split(' ')[1]);
}

describe('T14 a request that the HTTP server of the Functions library refuses', () => {
  it.each(REFUSED_REQUESTS)('T14 is answered: $what', ({ what, status }) => {
    expect(statusOf(answers.get(what))).toBe(status);
  });

  it.each(['a query field named headers', 'a body field named headers'])(
    'T14 is answered: %s that cannot be headers',
    (what) => {
      expect(statusOf(answers.get(what))).toBe(400);
    },
  );

  it('T14 is answered with a problem that names its request where it is refused with 400', () => {
    const refused = [...answers.values()].filter((answer) => statusOf(answer) === 400);

    const problems = refused.map((answer) =>
      problemSchema.parse(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n{') + 4))),
    );

    expect(problems).toHaveLength(7);
    for (const [index, { error }] of problems.entries()) {
      expect(error.code).toBe('invalid_request');
      expect(refused[index]).toMatch(/^x-request-id: [0-9a-f-]{36}\r$/m);
      expect(refused[index]).toMatch(/^x-content-type-options: nosniff\r$/im);
    }
  });

  it('T14 disturbs no other call and costs no worker', async () => {
    const events = await neighbour;

    expect(events.filter(({ event }) => event === 'delta')).toHaveLength(TOKENS);
    expect(events.at(-1)?.event).toBe('done');
    expect(environment.host.workerPid()).toBe(worker);
    expect(environment.log.filter((line) => line.includes('Timeout value exceeded'))).toEqual([]);
  });

  it('T14 leaves no invocation behind', async () => {
    const status = await fetch(`${environment.url}/admin/host/drain/status`);

    expect(await status.json()).toMatchObject({ outstandingInvocations: 0 });
  });

  it('T14 is none whose control characters stand in headers that the app reads', () => {
    expect(statusOf(answers.get('headers that the app reads'))).toBe(200);
  });

  it('T14 brings no control character of a header into an answer or a line of the log', () => {
    const written = [...answers.values(), ...environment.log].join('');

    // oxlint-disable-next-line no-control-regex -- what must not be there
    expect(written).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/);
  });

  it('T14 is reported in the log', () => {
    expect(environment.log.join('\n')).toContain('Requests that did not reach a function');
  });
});
