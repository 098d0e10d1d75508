import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readChat } from './support/callers.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'q8Zr1vX0-caller-key-of-alice';
const KEYS = JSON.stringify({ alice: createHash('sha256').update(KEY).digest('hex') });
/** The header that Easy Auth writes; any client can send it. */
const PRINCIPAL = Buffer.from(
  JSON.stringify({
    claims: [
      { typ: 'tid', val: '11111111-1111-1111-1111-111111111111' },
      { typ: 'oid', val: '22222222-2222-2222-2222-222222222222' },
    ],
  }),
).toString('base64');

interface Route {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

const CONVERSATION = { messages: [{ role: 'user', content: 'Hi' }] };
const ROUTES: readonly Route[] = [
  { method: 'POST', path: '/api/chat', body: { message: 'Hi' } },
  { method: 'POST', path: '/v1/chat/completions', body: CONVERSATION },
  { method: 'GET', path: '/v1/models' },
];

const capturedSchema = z.object({
  registered: z.array(z.object({ bindings: z.record(z.string(), z.unknown()) })),
});
const triggerSchema = z.object({
  type: z.literal('httpTrigger'),
  route: z.string(),
  methods: z.array(z.string()),
  authLevel: z.string(),
});

/** What the trigger files register, as the platform sees it. */
function listRoutes() {
  const script = fileURLToPath(new URL('../functions/capture-registrations.ts', import.meta.url));
  const output = execFileSync(process.execPath, [script, 'functions/*.ts'], { encoding: 'utf8' });
  return capturedSchema
    .parse(JSON.parse(output))
    .registered.flatMap(({ bindings }) => Object.values(bindings))
    .flatMap((binding) => triggerSchema.safeParse(binding).data ?? [])
    .flatMap(({ methods, ...rest }) => methods.map((method) => ({ method, ...rest })));
}

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({ settings: { CALLER_KEYS: KEYS } });
});
afterAll(() => environment.stop());

function send({ method, path, body }: Route, headers: Record<string, string>): Promise<Response> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  return fetch(environment.url + path, {
    method,
    headers: { ...json, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

describe.each(ROUTES)('$method $path where callers have keys', (route) => {
  it('lets the owner of a key in, by either header', async () => {
    const answers = await Promise.all([
      send(route, { authorization: `Bearer ${KEY}` }),
      send(route, { 'x-api-key': KEY }),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('refuses every other caller with the same text, before any work (H15)', async () => {
    environment.model.reset();
    const answers = await Promise.all(
      [
        {},
        { authorization: 'Bearer ' },
        { authorization: `Bearer ${KEY}x` },
        { authorization: `Basic ${KEY}` },
        { authorization: `Bearer ${KEYS.slice(10, 74)}` },
        { 'x-api-key': '' },
        { 'x-api-key': KEY.toUpperCase() },
        { 'x-ms-client-principal': PRINCIPAL },
      ].map(async (headers) => readChat(await send(route, { ...headers, 'x-request-id': 'r' }))),
    );

    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.text).toContain('"code":"unauthorized"');
    expect(answers[0]?.headers.get('www-authenticate')).toBe('Bearer');
    expect(environment.model.calls()).toEqual([]);
  });

  it('takes no key from the query, and none that a query puts into the headers', async () => {
    const shadow = encodeURIComponent(JSON.stringify({ 'x-api-key': KEY }));
    const { path } = route;

    const inQuery = await send({ ...route, path: `${path}?x-api-key=${KEY}` }, {});
    const shadowing = await send({ ...route, path: `${path}?Headers=${shadow}` }, {});

    expect([inQuery.status, shadowing.status]).toEqual([401, 400]);
  });
});

describe('every route that asks for a function key', () => {
  it('asks for a caller key too, the metrics included', async () => {
    const routes = listRoutes().filter(({ authLevel }) => authLevel === 'function');

    const statuses = await Promise.all(
      routes.map(async ({ method, route }) => {
        // One trigger serves all paths of Azure clients, and knows no other path.
        const known = route.replace('{*path}', method === 'DELETE' ? 'v1/files/x' : 'v1/files');
        const path = `/${known.replaceAll(/\{[^}]*\}/g, 'x')}`;
        const { status } = await send({ method, path }, {});
        return `${method} ${path} ${status}`;
      }),
    );

    expect(statuses.length).toBeGreaterThan(ROUTES.length);
    expect(statuses.filter((status) => !status.endsWith(' 401'))).toEqual([]);
  });
});

describe('routes that are open', () => {
  it.each(['/health', '/ready', '/health/ready'])('%s asks for no key', async (path) => {
    const { status } = await fetch(environment.url + path);

    expect(status).toBe(200);
  });
});
