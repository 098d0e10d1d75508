import { randomBytes } from 'node:crypto';
import { z } from 'zod';

/** Client addresses of two callers. */
const OWNER = { 'x-forwarded-for': '203.0.113.9' } as const;
const OTHER = { 'x-forwarded-for': '198.51.100.9' } as const;
/** Requests at once. */
const LANES = 16;
/** Every so many guesses, a real id is used. */
const FOREIGN_EVERY = 10;
/** What the owner wrote; no other caller may read it. */
const SECRET = 'canary-conversation-4711';

/** A route that takes an id, and the kind of the id. */
interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: (id: string) => object;
}

type Kind = 'session' | 'response' | 'conversation' | 'run' | 'file' | 'batch';

const chat = (sessionId: string): object => ({ message: 'Hi', sessionId });

/** Every route with an id of something that a caller owns; `{id}` is replaced. */
export const ROUTES: Readonly<Record<Kind, readonly Route[]>> = {
  session: [
    { method: 'GET', path: '/api/sessions/{id}' },
    { method: 'DELETE', path: '/api/sessions/{id}' },
    { method: 'POST', path: '/api/chat', body: chat },
    { method: 'POST', path: '/api/chat', body: (id) => ({ ...chat(id), background: true }) },
  ],
  response: [
    { method: 'GET', path: '/v1/responses/{id}' },
    { method: 'GET', path: '/v1/responses/{id}?stream=true' },
    { method: 'GET', path: '/v1/responses/{id}/input_items' },
    { method: 'POST', path: '/v1/responses/{id}/cancel' },
    { method: 'DELETE', path: '/v1/responses/{id}' },
    {
      method: 'POST',
      path: '/v1/responses',
      body: (id) => ({ input: 'Hi', previous_response_id: id }),
    },
  ],
  conversation: [
    { method: 'GET', path: '/v1/conversations/{id}' },
    { method: 'POST', path: '/v1/conversations/{id}', body: () => ({ metadata: {} }) },
    { method: 'DELETE', path: '/v1/conversations/{id}' },
    { method: 'GET', path: '/v1/conversations/{id}/items' },
    {
      method: 'POST',
      path: '/v1/conversations/{id}/items',
      body: () => ({ items: [{ role: 'user', content: 'Hi' }] }),
    },
    { method: 'GET', path: '/v1/conversations/{id}/items/msg_0' },
    { method: 'DELETE', path: '/v1/conversations/{id}/items/msg_0' },
    { method: 'POST', path: '/v1/responses', body: (id) => ({ input: 'Hi', conversation: id }) },
  ],
  run: [
    { method: 'GET', path: '/api/chat/{id}' },
    { method: 'GET', path: '/api/chat/{id}?stream=true' },
    { method: 'POST', path: '/api/chat/{id}/cancel' },
  ],
  file: [
    { method: 'GET', path: '/v1/files/{id}' },
    { method: 'GET', path: '/v1/files/{id}/content' },
    { method: 'DELETE', path: '/v1/files/{id}' },
    {
      method: 'POST',
      path: '/v1/batches',
      body: (id) => ({
        input_file_id: id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      }),
    },
  ],
  batch: [
    { method: 'GET', path: '/v1/batches/{id}' },
    { method: 'POST', path: '/v1/batches/{id}/cancel' },
    { method: 'POST', path: '/v1/batches/{id}/retry-failed' },
  ],
};

/** What came of all guesses on one route. */
export interface RouteReport {
  readonly route: string;
  readonly guesses: number;
  /** Answers that are no 400 or 404, or contain what the owner wrote. */
  readonly hits: number;
  /** Different answers, without the ids in them. */
  readonly bodies: number;
  /** Medians. */
  readonly foreignMs: number;
  readonly absentMs: number;
}

interface GuessOptions {
  readonly count: number;
  readonly onProgress?: (done: number, hits: number) => void;
}

export type Ids = Readonly<Record<Kind, string>>;

/** Asks for things of another caller on every route, in turns. */
export async function guessIds(
  url: string,
  { count, onProgress }: GuessOptions,
): Promise<readonly RouteReport[]> {
  const ids = await createAll(url);
  const routes = Object.entries(ROUTES).flatMap(([kind, list]) =>
    list.map((route) => ({ route, id: ids[kindSchema.parse(kind)], seen: startRoute() })),
  );
  let next = 0;
  let done = 0;
  let hits = 0;
  async function runLane(): Promise<void> {
    for (let number = next++; number < count; number = next++) {
      const { route, id, seen } = routes[number % routes.length] ?? never();
      const isForeign = Math.floor(number / routes.length) % FOREIGN_EVERY === 0;
      const answer = await ask(url, { route, id: isForeign ? id : guessOf(id), headers: OTHER });
      const isHit = ![400, 404].includes(answer.status) || answer.text.includes(SECRET);
      seen.add({ ...answer, isForeign, isHit });
      done += 1;
      hits += Number(isHit);
      if (done % 200 === 0 || done === count) onProgress?.(done, hits);
    }
  }
  await Promise.all(Array.from({ length: LANES }, runLane));
  await assertAllKept(url, ids);
  return routes.map(({ route, seen }) => seen.report(`${route.method} ${route.path}`));
}

const kindSchema = z.enum(['session', 'response', 'conversation', 'run', 'file', 'batch']);

function never(): never {
  throw new RangeError('There is no such route');
}

interface Question {
  readonly route: Route;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  /** Without ids, which differ. */
  readonly text: string;
  readonly ms: number;
}

/** Sends one request. The answer is without the id of the request and without that of the route. */
export async function ask(url: string, { route, id, headers }: Question): Promise<Answer> {
  const startedAt = performance.now();
  const response = await fetch(url + route.path.replace('{id}', id), {
    method: route.method,
    headers: { ...headers, 'x-request-id': 'r', 'content-type': 'application/json' },
    body: route.body === undefined ? null : JSON.stringify(route.body(id)),
  });
  const text = (await response.text()).replaceAll(id, 'ID');
  const ms = performance.now() - startedAt;
  const names = [...response.headers.keys()].filter((name) => name !== 'date').join();
  return { status: response.status, text: `${names}\n${text}`, ms };
}

/** An id of the same form with other random digits. */
export function guessOf(id: string): string {
  const digits = /[0-9a-f]{24,}$/.exec(id)?.[0].length ?? 24;
  return id.slice(0, -digits) + randomBytes(digits).toString('hex').slice(0, digits);
}

interface Seen extends Answer {
  readonly isForeign: boolean;
  readonly isHit: boolean;
}

function startRoute() {
  const bodies = new Set<string>();
  const times = { foreign: new Array<number>(), absent: new Array<number>() };
  let hits = 0;
  return {
    add({ status, text, ms, isForeign, isHit }: Seen): void {
      bodies.add(`${status} ${text}`);
      times[isForeign ? 'foreign' : 'absent'].push(ms);
      hits += Number(isHit);
    },
    report: (route: string): RouteReport => ({
      route,
      guesses: times.foreign.length + times.absent.length,
      hits,
      bodies: bodies.size,
      foreignMs: medianOf(times.foreign),
      absentMs: medianOf(times.absent),
    }),
  };
}

function medianOf(times: readonly number[]): number {
  return times.toSorted((left, right) => left - right)[Math.floor(times.length / 2)] ?? 0;
}

const created = z.looseObject({ id: z.string().optional(), sessionId: z.string().optional() });

/** Creates one thing of each kind for the owner. */
export async function createAll(url: string): Promise<Ids> {
  async function post(path: string, body: object | FormData) {
    const isForm = body instanceof FormData;
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { ...OWNER, ...(isForm ? {} : { 'content-type': 'application/json' }) },
      body: isForm ? body : JSON.stringify(body),
    });
    return created.parse(await response.json());
  }
  const line = {
    custom_id: 'a',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'any', messages: [{ role: 'user', content: SECRET }] },
  };
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', new Blob([`${JSON.stringify(line)}\n`]), 'a.jsonl');
  const item = { type: 'message', role: 'user', content: SECRET };
  const file = await post('/v1/files', form);
  const [session, response, conversation, run, batch] = await Promise.all([
    post('/api/chat', { message: SECRET }),
    post('/v1/responses', { input: SECRET }),
    post('/v1/conversations', { items: [item] }),
    post('/api/chat', { message: SECRET, background: true }),
    post('/v1/batches', {
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }),
  ]);
  const text = z.string();
  return {
    session: text.parse(session.sessionId),
    response: text.parse(response.id),
    conversation: text.parse(conversation.id),
    run: text.parse(run.id),
    file: text.parse(file.id),
    batch: text.parse(batch.id),
  };
}

/** Everything is still there for its owner. */
async function assertAllKept(url: string, ids: Ids): Promise<void> {
  for (const [kind, [route]] of Object.entries(ROUTES)) {
    const id = ids[kindSchema.parse(kind)];
    const answer = route && (await ask(url, { route, id, headers: OWNER }));
    if (answer?.status !== 200) throw new Error(`The ${kind} of the owner is gone`);
  }
}
