import { z } from 'zod';
import type { FaultFamily, Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import {
  finding,
  one,
  OTHER,
  repeatedRequests,
  send,
  type Sent,
  statusesOf,
} from './repeated-requests.ts';

const GUESSES = 100;
/** A busy machine may need this long for a run in the background. */
const RUN_ENDS_WITHIN_MS = 20_000;
const POLL_MS = 50;

const answerSchema = z.looseObject({ sessionId: z.string(), id: z.string().optional() });

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
    ...repeatedRequests,
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
