import { custom, type FaultCase, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';

/** Another caller than the one of this machine. */
export const OTHER = { 'x-forwarded-for': '198.51.100.7' } as const;
const EQUAL_REQUESTS = 20;

export interface Sent {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

interface Message {
  readonly path?: string;
  readonly method?: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function send({ url }: FaultEnvironment, message: Message): Promise<Sent> {
  const { path = '/api/chat', method = 'POST', body, headers } = message;
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

interface Check {
  readonly happened: string;
  readonly calls: number;
  readonly sent: readonly Sent[];
  /** What must hold, each with the problem where it does not. */
  readonly held: readonly (readonly [holds: boolean, problem: string])[];
}

export function finding({ happened, calls, sent, held }: Check): Finding {
  return {
    happened,
    calls,
    received: sent.map(({ text, headers }) => `${JSON.stringify([...headers])}\n${text}`),
    problems: held.flatMap(([holds, problem]) => (holds ? [] : [problem])),
  };
}

export function statusesOf(sent: readonly Sent[]): string {
  const all = sent.map(({ status }) => status);
  return [...new Set(all)]
    .map((one) => `${all.filter((s) => s === one).length} x ${one}`)
    .join(', ');
}

type CaseOptions = Pick<Parameters<typeof custom>[0], 'injected' | 'promised' | 'run'>;

export function one(id: string, options: CaseOptions): FaultCase {
  return custom({ id, modes: ['json'], ...options });
}

/** H17: requests that are sent again with their Idempotency-Key. */
export const repeatedRequests: readonly FaultCase[] = [
  one('H17', {
    injected: `an Idempotency-Key ${EQUAL_REQUESTS} times at once`,
    promised: 'one call, equal answers',
    run: repeatAtOnce,
  }),
  one('H17', {
    injected: 'the key with another body, as a stream, and of another caller',
    promised: '422; the whole text; a call of its own',
    run: useKeyAgain,
  }),
  one('H17', {
    injected: 'the key of a request that failed, and one of 256 characters',
    promised: 'runs again; 400',
    run: repeatFailed,
  }),
];

function withKey(key: string): Record<string, string> {
  return { 'idempotency-key': key };
}

async function repeatAtOnce(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const request = { body: { message: `dev/instant ${marker}` }, headers: withKey(marker) };
  const sent = await Promise.all(
    Array.from({ length: EQUAL_REQUESTS }, () => send(environment, request)),
  );
  const calls = environment.callsWith(marker).length;
  const replayed = sent.filter(({ headers }) => headers.get('idempotent-replayed') === 'true');
  return finding({
    happened: `${statusesOf(sent)}, ${replayed.length} replayed`,
    calls,
    sent,
    held: [
      [calls === 1, `${calls} calls`],
      [new Set(sent.map(({ text }) => text)).size === 1, 'the answers differ'],
      [sent.every(({ status }) => status === 200), 'not every request was answered'],
      [replayed.length === EQUAL_REQUESTS - 1, 'replays are not marked'],
    ],
  });
}

async function useKeyAgain(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const body = { message: `dev/instant ${marker}`, stream: true };
  const headers = withKey(marker);
  const first = await send(environment, { body, headers });
  const replay = await send(environment, { body, headers });
  const mismatch = await send(environment, { body: { message: 'other' }, headers });
  const foreign = await send(environment, { body, headers: { ...headers, ...OTHER } });
  const calls = environment.callsWith(marker).length;
  return finding({
    happened: statusesOf([first, replay, mismatch, foreign]),
    calls,
    sent: [first, replay, mismatch, foreign],
    held: [
      [replay.text.includes('event: done'), 'the stream is not replayed to its end'],
      [doneOf(replay) === doneOf(first), 'the replay ends otherwise'],
      [mismatch.status === 422, `another body got ${mismatch.status}`],
      [mismatch.text.includes('idempotency_mismatch'), 'another code'],
      [foreign.headers.get('idempotent-replayed') === null, 'another caller reads the answer'],
      [calls === 2, `${calls} calls`],
    ],
  });
}

function doneOf({ text }: Sent): string {
  return text.slice(text.indexOf('event: done'));
}

async function repeatFailed(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const request = { body: { message: `dev/content-filter ${marker}` }, headers: withKey(marker) };
  const sent = [await send(environment, request), await send(environment, request)];
  const tooLong = await send(environment, { ...request, headers: withKey('k'.repeat(256)) });
  const calls = environment.callsWith(marker).length;
  return finding({
    happened: statusesOf([...sent, tooLong]),
    calls,
    sent: [...sent, tooLong],
    held: [
      [calls === 2, `${calls} calls instead of 2`],
      [sent.every(({ status }) => status === 422), 'the model did not refuse the text'],
      [tooLong.status === 400, `a key of 256 characters got ${tooLong.status}`],
    ],
  });
}
