import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const schema = z.record(z.string(), z.unknown());
const mediaTypes = z.record(
  z.string(),
  z.object({ schema, examples: z.record(z.string(), z.object({ value: z.unknown() })).optional() }),
);
const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.object({
      get: z.unknown().optional(),
      post: z
        .object({
          requestBody: z.object({ content: mediaTypes }).optional(),
          responses: z.record(
            z.string(),
            z.object({ content: mediaTypes.optional(), $ref: z.string().optional() }),
          ),
        })
        .optional(),
    }),
  ),
  components: z.object({ schemas: z.object({ Problem: schema }) }),
});
type Document = z.infer<typeof documentSchema>;

const TEXT = readFileSync('openapi.json', 'utf8');
const DOCUMENT: Document = documentSchema.parse(JSON.parse(TEXT));
const ajv = new Ajv2020({ strict: false });

interface Example {
  readonly path: string;
  readonly name: string;
  readonly body: unknown;
}

const EXAMPLES: readonly Example[] = Object.entries(DOCUMENT.paths).flatMap(([path, { post }]) => {
  const examples = post?.requestBody?.content['application/json']?.examples ?? {};
  return Object.entries(examples).map(([name, { value }]) => ({ path, name, body: value }));
});

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(() => environment.stop());

/** The errors of a body against the schema of its status; none for a stream. */
function problemsOf(path: string, { status, body }: { status: number; body: unknown }): unknown {
  const found = DOCUMENT.paths[path]?.post?.responses[String(status)];
  const expected =
    found?.$ref === undefined
      ? found?.content?.['application/json']?.schema
      : DOCUMENT.components.schemas.Problem;
  if (found === undefined) return `status ${status} is not described`;
  if (expected === undefined) return undefined;
  const validate = ajv.compile(expected);
  return validate(body) ? undefined : validate.errors;
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
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    const isStream = response.headers.get('content-type')?.includes('jsonl') === true;

    const answer = isJson && !isStream ? JSON.parse(text) : undefined;

    expect(
      answer === undefined
        ? undefined
        : problemsOf(path, { status: response.status, body: answer }),
    ).toBeUndefined();
    expect(response.headers.get('x-request-id')).toBeTruthy();
    expect(EXAMPLES.length).toBeGreaterThan(8);
  });
});
