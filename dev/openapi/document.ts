import { errorCodes, isRetryable } from '../../shared/errors.ts';
import { statusOf } from '../../shared/protocols/problem-details.ts';
import type { Answer, JsonSchema, Operation } from './operation.ts';
import { RUN_OPERATIONS } from './run-operations.ts';
import { STORAGE_OPERATIONS } from './storage-operations.ts';

export const OPERATIONS: readonly Operation[] = [...RUN_OPERATIONS, ...STORAGE_OPERATIONS];

/** The statuses that every route with a key may answer with. */
const KEYED_ERRORS = [400, 401, 403, 429, 500, 503] as const;
/** Those of a route that reads a body and honours an Idempotency-Key, beside them. */
const BODY_ERRORS = [408, 409, 413, 415, 422] as const;

const TAGS = {
  chat: 'The API of the service, and front ends of the AI Chat Protocol and the AI SDK.',
  sessions: 'Conversations of the API of the service.',
  openai: "OpenAI's chat completions, responses, conversations and models.",
  batch: "OpenAI's files and batches.",
  mcp: 'The agent as an MCP server.',
  operations: 'Health, readiness, metrics and this document.',
} as const;

const PROBLEM: JsonSchema = {
  type: 'object',
  description: 'RFC 9457, with the error object that OpenAI clients read.',
  required: ['type', 'title', 'status', 'detail', 'instance', 'retryable', 'requestId', 'error'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    retryable: { type: 'boolean' },
    requestId: { type: 'string' },
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { enum: errorCodes() },
      },
    },
  },
};

const HEADERS = {
  'x-request-id': { description: 'The id of the request; a sane one of the client is kept.' },
  traceparent: { description: 'The trace of the request (W3C).' },
  'retry-after': { description: 'Seconds after which a retry makes sense, with 409, 429 and 503.' },
  'x-should-retry': { description: '`false` with an error that no retry mends.' },
  'ratelimit-policy': { description: 'The limits of the caller.' },
  ratelimit: { description: 'What is left of them.' },
  'x-ratelimit-limit-requests': { description: 'The limit of requests, for OpenAI clients.' },
  'x-ratelimit-remaining-requests': { description: 'The requests that are left.' },
  'x-ratelimit-reset-requests': { description: 'When the limit is whole again, such as `12s`.' },
  'x-ratelimit-limit-tokens': { description: 'The limit of tokens, for OpenAI clients.' },
  'x-ratelimit-remaining-tokens': { description: 'The tokens that are left.' },
  'x-ratelimit-reset-tokens': { description: 'When the limit is whole again, such as `12s`.' },
  'x-ratelimit-policy': {
    description: '`local` while instances do not share the limits because Redis is away.',
  },
  'cache-status': { description: 'What the response cache did (RFC 9211).' },
  'idempotent-replayed': { description: '`true` with the stored answer of an Idempotency-Key.' },
  'www-authenticate': { description: '`Bearer` with 401.' },
  'x-accel-buffering': { description: '`no` with a stream: proxies must not collect it.' },
  'x-vercel-ai-ui-message-stream': { description: '`v1` with a stream of the AI SDK.' },
} as const;

/** How a program identifies itself: by a function key, a caller key or both, as the deployment wants. */
const FUNCTION_SCHEMES = {
  functionKey: { type: 'apiKey', in: 'header', name: 'x-functions-key' },
  functionKeyInQuery: { type: 'apiKey', in: 'query', name: 'code' },
} as const;
const CALLER_SCHEMES = {
  callerKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
  callerKeyOfAzure: { type: 'apiKey', in: 'header', name: 'api-key' },
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'A token of Entra ID or a caller key, where the deployment uses them.',
  },
} as const;
const SECURITY = [undefined, ...Object.keys(FUNCTION_SCHEMES)].flatMap((key) =>
  [undefined, ...Object.keys(CALLER_SCHEMES)].flatMap((caller) => {
    const names = [key, caller].filter((name) => name !== undefined);
    return names.length === 0 ? [] : [Object.fromEntries(names.map((name) => [name, []]))];
  }),
);

const PROBLEM_CONTENT = {
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
} as const;

/** The description of every route, as OpenAPI 3.1. */
export function describeApi(version: string) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of OPERATIONS) {
    paths[operation.path] ??= {
      // The same routes with the path of Azure OpenAI clients in front.
      ...(operation.path.startsWith('/v1/') && { servers: [{ url: '/' }, { url: '/openai' }] }),
    };
    const path = paths[operation.path] ?? {};
    path[operation.method] = describeOperation(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'serverless-agent',
      version,
      summary: 'An LLM agent: chat, responses, batches, health.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: SECURITY,
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: { Problem: PROBLEM },
      responses: Object.fromEntries(
        errorStatuses().map((status) => [`Error${status}`, describeError(status)]),
      ),
      headers: Object.fromEntries(
        Object.entries(HEADERS).map(([name, header]) => [
          name,
          { ...header, schema: { type: 'string' } },
        ]),
      ),
      securitySchemes: { ...FUNCTION_SCHEMES, ...CALLER_SCHEMES },
    },
  };
}

function describeOperation(operation: Operation) {
  const { id, tag, summary, isOpen = false, query = {}, body, answers } = operation;
  const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const parameters = [
    ...inPath.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...Object.entries(query).map(([name, schema]) => ({ name, in: 'query', schema })),
    ...(operation.method === 'post' && !isOpen ? [IDEMPOTENCY_KEY] : []),
  ];
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(isOpen && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: describeBody(body) }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer)]),
      ),
      ...Object.fromEntries(
        errorsOf(operation)
          .filter((status) => answers[status] === undefined)
          .map((status) => [status, { $ref: `#/components/responses/Error${status}` }]),
      ),
    },
  };
}

/** The statuses of its errors, in their order. */
function errorsOf({ method, isOpen = false, errors = [] }: Operation): readonly number[] {
  const known = isOpen ? [] : [...KEYED_ERRORS, ...(method === 'post' ? BODY_ERRORS : [])];
  return [...new Set([...known, ...errors])].toSorted((a, b) => a - b);
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'Repeats of a request with the same key get its stored answer, for 24 hours.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
} as const;

function describeBody(body: NonNullable<Operation['body']>) {
  const examples = Object.entries(body.examples).map(([name, value]) => [name, { value }]);
  return {
    required: true,
    content: {
      [body.contentType ?? 'application/json']: {
        schema: body.schema,
        ...(examples.length > 0 && { examples: Object.fromEntries(examples) }),
      },
    },
  };
}

function describeAnswer(answer: Answer) {
  const { description, schema, stream, contentType = 'application/json' } = answer;
  const content = {
    ...(schema && { [contentType]: { schema } }),
    ...(answer.mayBeProblem === true && PROBLEM_CONTENT),
    ...(stream !== undefined && { [stream]: { schema: { type: 'string' } } }),
  };
  return {
    description,
    headers: headerReferences(),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

function errorStatuses(): readonly number[] {
  return [...new Set(OPERATIONS.flatMap(errorsOf))].toSorted((a, b) => a - b);
}

function describeError(status: number) {
  const codes = errorCodes()
    .filter((code) => statusOf(code) === status)
    .map((code) => `\`${code}\`${isRetryable(code) ? ' (retryable)' : ''}`);
  return {
    description: codes.join(', ') || 'The method is not served here',
    headers: headerReferences(),
    content: PROBLEM_CONTENT,
  };
}

function headerReferences() {
  return Object.fromEntries(
    Object.keys(HEADERS).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** The page docs/api.md. */
export function toMarkdown(operations: readonly Operation[] = OPERATIONS): string {
  const sections = Object.entries(TAGS).map(([tag, description]) => {
    const rows = operations
      .filter((operation) => operation.tag === tag)
      .map((operation) => {
        const { method, path, isOpen = false, summary, answers } = operation;
        const known = new Set([...Object.keys(answers).map(Number), ...errorsOf(operation)]);
        const statuses = [...known].toSorted((a, b) => a - b);
        const auth = isOpen ? 'open' : 'key';
        return `| \`${method.toUpperCase()} ${path}\` | ${auth} | ${summary} | ${statuses.join(', ')} |`;
      });
    return `## ${tag}\n\n${description}\n\n| route | auth | what | statuses |\n|---|---|---|---|\n${rows.join('\n')}`;
  });
  const codes = errorCodes().map(
    (code) => `| \`${code}\` | ${statusOf(code)} | ${isRetryable(code) ? 'yes' : 'no'} |`,
  );
  return `# API

Every route of the service. \`GET /openapi.json\` serves the same as OpenAPI 3.1, with the schemas that validate requests; \`npx node dev/write-openapi.ts\` writes both from the code. Routes below \`/v1/\` are served below \`/openai/v1/\` too.

${sections.join('\n\n')}

## Errors

The body of every error is \`application/problem+json\` with \`error.code\`:

| code | status | retryable |
|---|---|---|
${codes.join('\n')}
`;
}
