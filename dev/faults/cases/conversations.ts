import { z } from 'zod';
import { custom, type FaultCase, type FaultFamily, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';

/** Another caller than the one of this machine. */
const OTHER = { 'x-forwarded-for': '198.51.100.7' } as const;
const GUESSES = 100;
const EQUAL_REQUESTS = 20;
/** A busy machine may need this long for a run in the background. */
const RUN_ENDS_WITHIN_MS = 20_000;
const POLL_MS = 50;

const answerSchema = z.looseObject({ sessionId: z.string(), id: z.string().optional() });

interface Sent {
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

async function send({ url }: FaultEnvironment, message: Message): Promise<Sent> {
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

function finding({ happened, calls, sent, held }: Check): Finding {
  return {
    happened,
    calls,
    received: sent.map(({ text, headers }) => `${JSON.stringify([...headers])}\n${text}`),
    problems: held.flatMap(([holds, problem]) => (holds ? [] : [problem])),
  };
}

function statusesOf(sent: readonly Sent[]): string {
  const all = sent.map(({ status }) => status);
  return [...new Set(all)]
    .map((one) => `${all.filter((s) => s === one).length} x ${one}`)
    .join(', ');
}

/** H16 and S1 to S3: conversations of callers; H17: requests that are sent again. */
export const conversations: FaultFamily = {
  name: 'conversations and repeated requests',
  settings: {},
  hasStorage: true,
  lanes: 4,
  cases: [
    one('H16', {
      injected: `${GUESSES} guessed ids, the id of another caller, ids with paths`,
      promised: '404 like an absent one',
      run: guessIds,
    }),
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
    one('S1', {
      injected: 'two requests in a session at once',
      promised: '409 session_busy with Retry-After, no call; then free',
      run: chatAtOnce,
    }),
    one('S2', {
      injected: 'a stream that breaks off in a session',
      promised: 'stored as partial, and never an answer',
      run: breakOff,
    }),
    one('S3', {
      injected: 'a run in the background in a session, and one that is cancelled',
      promised: '409 until the end; one answer; free at once',
      run: runInBackground,
    }),
  ],
};

type CaseOptions = Pick<Parameters<typeof custom>[0], 'injected' | 'promised' | 'run'>;

function one(id: string, options: CaseOptions): FaultCase {
  return custom({ id, modes: ['json'], ...options });
}

/** The id of a new session. */
async function startSession(environment: FaultEnvironment, message: string): Promise<string> {
  const { text } = await send(environment, { body: { message } });
  return answerSchema.parse(JSON.parse(text)).sessionId;
}

async function guessIds(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const id = await startSession(environment, `dev/instant ${marker}`);
  const guesses = Array.from({ length: GUESSES }, () => `${id.slice(0, -32)}${randomHex(32)}`);
  const others = [id, `${id}0`, '..%2F..%2Fa', '%2e%2e', '__proto__', `conv_${id.slice(5)}`];
  const ids = [...guesses, ...others];
  const sent = await Promise.all(
    ids.flatMap((one) => [
      send(environment, { path: `/api/sessions/${one}`, method: 'GET', headers: OTHER }),
      send(environment, {
        body: { message: 'Hi', sessionId: decodeURIComponent(one) },
        headers: OTHER,
      }),
    ]),
  );
  const bodies = new Set(sent.map(({ text }) => text.replaceAll(/"[0-9a-f-]{36}"|urn:[^"]*/g, '')));
  const kept = await send(environment, { path: `/api/sessions/${id}`, method: 'GET' });
  return finding({
    happened: `${statusesOf(sent)}; ${bodies.size} bodies`,
    calls: environment.callsWith(marker).length,
    sent,
    held: [
      [sent.every(({ status }) => status === 404), 'an id was found, or refused otherwise'],
      [sent.every(({ text }) => !text.includes(marker)), 'another caller reads the session'],
      [environment.callsWith('Hi').length === 0, 'the model was called'],
      [kept.text.includes(marker), 'the session is gone'],
    ],
  });
}

function randomHex(digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join('');
}

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

async function chatAtOnce(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const sessionId = await startSession(environment, `dev/instant ${marker}`);
  const slow = send(environment, {
    body: { message: 'dev/long-400 slow', sessionId, stream: true },
  });
  const second = await until(
    () => send(environment, { body: { message: `dev/instant second ${marker}`, sessionId } }),
    ({ status }) => status === 409,
  );
  const before = environment.callsWith(`second ${marker}`).length;
  await slow;
  const third = await send(environment, {
    body: { message: `dev/instant third ${marker}`, sessionId },
  });
  return finding({
    happened: statusesOf([second, third]),
    calls: environment.callsWith(marker).length,
    sent: [second, third],
    held: [
      [second.status === 409 && second.text.includes('session_busy'), `it got ${second.status}`],
      [second.headers.get('retry-after') !== null, 'no Retry-After'],
      [before === 0, 'the model was called'],
      [third.status === 200, `later it got ${third.status}`],
    ],
  });
}

async function breakOff(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const sessionId = await startSession(environment, `dev/instant ${marker}`);
  const body = { message: `dev/cut-5 ${marker}`, sessionId, stream: true };
  const broken = await send(environment, { body });
  const session = await send(environment, { path: `/api/sessions/${sessionId}`, method: 'GET' });
  const next = await send(environment, {
    body: { message: `dev/instant next ${marker}`, sessionId },
  });
  const partial = /"content":"([^"]+)"[^{}]*"runStatus":"partial"/g;
  const texts = [...session.text.matchAll(partial)].map(([, text = '']) => text);
  const words = texts.at(-1) ?? '';
  const call = JSON.stringify(environment.callsWith(`next ${marker}`)[0]?.body);
  return finding({
    happened: `${statusesOf([broken, next])}; partial: ${texts.length}`,
    calls: environment.callsWith(marker).length,
    sent: [broken, session, next],
    held: [
      [broken.text.includes('upstream_interrupted'), 'the stream looks complete'],
      [texts.length === 2, 'message and text are not stored as partial'],
      [!call.includes(JSON.stringify(words)), 'the model reads the partial text as an answer'],
      [next.status === 200, `the next request got ${next.status}`],
    ],
  });
}

async function runInBackground(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const sessionId = await startSession(environment, `dev/instant ${marker}`);
  const start = async (message: string): Promise<string> => {
    const { text } = await send(environment, { body: { message, sessionId, background: true } });
    return answerSchema.parse(JSON.parse(text)).id ?? '';
  };
  const first = await start(`dev/instant first ${marker}`);
  const read = () => send(environment, { path: `/api/chat/${first}`, method: 'GET' });
  const ended = await until(read, ({ text }) => text.includes('"completed"'));
  const slow = await start(`dev/stall-3 slow ${marker}`);
  const busy = await send(environment, { body: { message: 'Hi', sessionId } });
  const cancelled = await send(environment, { path: `/api/chat/${slow}/cancel` });
  const next = await send(environment, { body: { message: `dev/instant ${marker}`, sessionId } });
  const session = await send(environment, { path: `/api/sessions/${sessionId}`, method: 'GET' });
  const answers = session.text.match(/"role":"assistant"/g)?.length ?? 0;
  return finding({
    happened: `${statusesOf([ended, busy, cancelled, next])}; ${answers} answers`,
    calls: environment.callsWith(marker).length,
    sent: [ended, busy, cancelled, next, session],
    held: [
      [busy.status === 409, `beside the run it got ${busy.status}`],
      [next.status === 200, `after the cancellation it got ${next.status}`],
      [answers === 3, `${answers} answers instead of 3`],
    ],
  });
}

/** Repeats a request until its answer is as expected, or for too long. */
async function until(request: () => Promise<Sent>, isDone: (sent: Sent) => boolean): Promise<Sent> {
  const endsAt = performance.now() + RUN_ENDS_WITHIN_MS;
  let sent = await request();
  while (!isDone(sent) && performance.now() < endsAt) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    sent = await request();
  }
  return sent;
}
