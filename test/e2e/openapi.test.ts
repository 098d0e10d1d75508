import { Ajv2020 } from 'ajv/dist/2020.js';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import createClient, { type Client } from 'openapi-fetch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const schema = z.record(z.string(), z.unknown());
const mediaTypes = z.record(
  z.string(),
  z.object({ schema, examples: z.record(z.string(), z.object({ value: z.unknown() })).optional() }),
);
const answerSchema = z.object({
  content: mediaTypes.optional(),
  headers: schema.optional(),
  $ref: z.string().optional(),
});
const operationSchema = z.object({
  requestBody: z.object({ content: mediaTypes }).optional(),
  responses: z.record(z.string(), answerSchema),
});
const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.object({
      get: operationSchema.optional(),
      post: operationSchema.optional(),
      delete: operationSchema.optional(),
    }),
  ),
  components: z.object({ responses: z.record(z.string(), answerSchema), schemas: schema }),
});

const TEXT = readFileSync('openapi.json', 'utf8');
const { paths: PATHS, components } = documentSchema.parse(JSON.parse(TEXT));
const ajv = new Ajv2020({ strict: false });
/** What every HTTP server sends. */
const TRANSPORT_HEADERS =
  /^(?:connection|content-.*|cache-control|date|etag|keep-alive|server|transfer-encoding|vary|x-ms-invocation-id|x-content-type-options|x-frame-options|referrer-policy|permissions-policy|cross-origin-.*)$/;

const JSON_TYPES = new Set(['application/json', 'application/problem+json']);

type Method = 'get' | 'post' | 'delete';
const METHODS: readonly Method[] = ['get', 'post', 'delete'];

interface Example {
  readonly path: string;
  readonly name: string;
  readonly body: unknown;
}

const EXAMPLES: readonly Example[] = Object.entries(PATHS).flatMap(([path, { post }]) => {
  const examples = post?.requestBody?.content['application/json']?.examples ?? {};
  return Object.entries(examples).map(([name, { value }]) => ({ path, name, body: value }));
});

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    // The headers of limits are sent where there are limits.
    settings: { AGENT__LIMITS__REQUESTS_PER_MINUTE: '1000' },
  });
});
afterAll(() => environment.stop());

interface Answered {
  readonly method: Method;
  readonly path: string;
  readonly response: Response;
}

/** What the document does not say about an answer, by its status, headers, type and body. */
async function problemsOf({ method, path, response }: Answered): Promise<readonly string[]> {
  const { status, headers } = response;
  const named = PATHS[path]?.[method]?.responses[String(status)];
  const found = named?.$ref === undefined ? named : components.responses[`Error${status}`];
  const call = `${method} ${path} ${status}`;
  if (found === undefined) return [`${call} is not described`];
  const unknown = [...headers.keys()].filter(
    (name) => !TRANSPORT_HEADERS.test(name) && found.headers?.[name] === undefined,
  );
  const type = headers.get('content-type')?.split(';')[0];
  const content = type === undefined ? undefined : found.content?.[type];
  const isTyped = type === undefined || content !== undefined;
  return [
    ...unknown.map((name) => `${call} has the header ${name}`),
    ...(isTyped ? [] : [`${call} has the type ${type}`]),
    ...(content !== undefined && type !== undefined && JSON_TYPES.has(type)
      ? bodyProblems(content.schema, await response.clone().json()).map((one) => `${call} ${one}`)
      : []),
  ];
}

function bodyProblems(expected: z.infer<typeof schema>, body: unknown): readonly string[] {
  const validate = ajv.compile({ ...expected, components });
  return validate(body)
    ? []
    : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

describe('GET /openapi.json', () => {
  it('serves the document to anyone', async () => {
    const response = await fetch(`${environment.url}/openapi.json`);

    expect(response.status).toBe(200);
    expect(await response.text()).toBe(TEXT);
  });
});

describe('an example of the document', () => {
  it.each(EXAMPLES)('is answered as described: POST $path, $name', async ({ path, body }) => {
    const response = await fetch(`${environment.url}${path.replaceAll(/\{\w+\}/g, 'x')}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        // Clients of MCP must accept both.
        accept: path === '/mcp' ? 'application/json, text/event-stream' : 'application/json',
      },
      body: JSON.stringify(body),
    });

    const problems = await problemsOf({ method: 'post', path, response });

    expect(problems).toEqual([]);
    expect(response.headers.get('x-request-id')).toBeTruthy();
    expect(EXAMPLES.length).toBeGreaterThan(8);
  });
});

const JSON_TYPE = { 'content-type': 'application/json' };
/** Requests that most operations refuse; some answer them. */
const ODD_REQUESTS: Readonly<Record<string, RequestInit>> = {
  'unknown ids and an empty object': { headers: JSON_TYPE, body: '{}' },
  'a body that is not JSON': { headers: JSON_TYPE, body: '{"a":' },
  'a body of another type': { headers: { 'content-type': 'text/plain' }, body: 'Hello' },
  'a body without a type': { body: new Uint8Array([0xff, 0xfe]) },
  'an Idempotency-Key that is too long': {
    headers: { ...JSON_TYPE, 'idempotency-key': 'k'.repeat(300) },
    body: '{}',
  },
  'a header in the body': { headers: JSON_TYPE, body: '{"headers":{"x-api-key":"a"}}' },
};

describe.each(Object.entries(ODD_REQUESTS))('an operation with %s', (_name, init) => {
  it('answers as it is described', async () => {
    const operations = Object.entries(PATHS).flatMap(([path, described]) =>
      METHODS.filter((method) => described[method]).map((method) => ({ method, path })),
    );

    const problems = await Promise.all(
      operations.map(async ({ method, path }) => {
        const { body, ...rest } = init;
        const response = await fetch(`${environment.url}${path.replaceAll(/\{\w+\}/g, 'x')}`, {
          ...rest,
          method,
          ...(method === 'post' && body !== undefined ? { body } : {}),
        });
        return problemsOf({ method, path, response });
      }),
    );

    expect(problems.flat()).toEqual([]);
    expect(operations.length).toBeGreaterThan(40);
  });
});

const run = promisify(execFile);
const FOLDER = resolve('test/e2e/openapi-client');
const GENERATED = resolve('node_modules/.cache/openapi-client');
/** A client of any document: calls.ts narrows it to the generated types. */
type AnyClient = Client<object>;
const callsSchema = z.object({
  callEach: z.custom<(api: AnyClient) => Promise<void>>((value) => typeof value === 'function'),
  WRONG: z.array(
    z.custom<(api: AnyClient) => Promise<{ readonly response: Response }>>(
      (value) => typeof value === 'function',
    ),
  ),
});

describe('a client with the types that openapi-typescript generates', () => {
  /** It imports generated types, so the compiler of the project does not see it. */
  const load = async () => callsSchema.parse(await import(join(FOLDER, 'calls.ts')));

  it('compiles with a call of each operation, and not with wrong values', async () => {
    mkdirSync(GENERATED, { recursive: true });
    const cli = resolve('.openapi-client/node_modules/openapi-typescript/bin/cli.js');
    const output = join(GENERATED, 'api.d.ts');
    await run(process.execPath, [cli, 'openapi.json', '--output', output]);

    const { stdout } = await run('tsc', ['--noEmit', '--project', FOLDER]).catch(
      (error: { readonly stdout: string }) => error,
    );

    expect(stdout).toBe('');
  });

  it('calls each operation, and each answer is as described', async () => {
    const { callEach } = await load();
    const answers: Answered[] = [];
    const api = createClient<object>({ baseUrl: environment.url });
    api.use({
      onResponse({ request, schemaPath, response }) {
        const method = METHODS.find((one) => one === request.method.toLowerCase());
        if (method === undefined) throw new Error('Cannot find the method');
        answers.push({ method, path: schemaPath, response: response.clone() });
      },
    });

    await callEach(api);

    const problems = await Promise.all(answers.map(problemsOf));
    const refused = answers.filter(({ response }) => !response.ok);
    const called = new Set(answers.map(({ method, path }) => `${method} ${path}`));
    const described = Object.entries(PATHS).flatMap(([path, operations]) =>
      METHODS.filter((method) => operations[method]).map((method) => `${method} ${path}`),
    );
    expect(problems.flat()).toEqual([]);
    // Its batch has not ended.
    expect(refused.map(({ path }) => path)).toEqual(['/v1/batches/{id}/retry-failed']);
    expect([...called].toSorted()).toEqual(described.toSorted());
  });

  it('is refused with 400 where its types refuse it', async () => {
    const { WRONG } = await load();
    const api = createClient<object>({ baseUrl: environment.url });

    const answers = await Promise.all(WRONG.map((call) => call(api)));

    const contentTypes = answers.map(({ response }) => response.headers.get('content-type'));
    expect(new Set(contentTypes)).toEqual(new Set(['application/problem+json']));
    expect(answers.map(({ response }) => response.status)).toEqual(WRONG.map(() => 400));
    expect(WRONG.length).toBeGreaterThan(6);
  });
});
