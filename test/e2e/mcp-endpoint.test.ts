import { createHash } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const REQUESTS_PER_MINUTE = 120;

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    settings: {
      CALLER_KEYS: JSON.stringify({ agent: hashOf('agent-key'), other: hashOf('other-key') }),
      AGENT__AGENT__NAME: 'helper',
      AGENT__TOOLS__ENABLED: 'calculator',
      AGENT__LIMITS__REQUESTS_PER_MINUTE: String(REQUESTS_PER_MINUTE),
      AGENT__MCP_SERVER__ALLOWED_ORIGINS: 'https://app.example.com',
      AGENT__MCP_SERVER__TOOL_DESCRIPTION: 'Asks the helper.',
    },
  });
});
const clients: Client[] = [];
beforeEach(() => environment.model.reset());
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});
afterAll(() => environment.stop());

async function connect(key = 'agent-key'): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  const headers = { authorization: `Bearer ${key}` };
  const url = new URL(`${environment.url}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  clients.push(client);
  return client;
}

function ask(client: Client, question: string) {
  return client.callTool({ name: 'ask', arguments: { question } });
}

function post(
  body: unknown,
  headers: Record<string, string> = {},
  signal: AbortSignal | null = null,
): Promise<Response> {
  return fetch(`${environment.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'agent-key', ...headers },
    body: JSON.stringify(body),
    signal,
  });
}

const CALL = {
  jsonrpc: '2.0',
  id: 'a',
  method: 'tools/call',
  params: { name: 'ask', arguments: { question: 'Hi' } },
};

describe('the official client', () => {
  it('initializes and lists the tool ask', async () => {
    const client = await connect();

    const { tools } = await client.listTools();

    expect(client.getServerVersion()).toMatchObject({ name: 'helper' });
    expect(tools).toMatchObject([
      {
        name: 'ask',
        description: 'Asks the helper.',
        inputSchema: { required: ['question'], additionalProperties: false },
      },
    ]);
  });

  it('gets an answer of the agent, with what it used', async () => {
    const client = await connect();

    const result = await ask(client, 'calculator {"expression": "6 * 7"}');

    expect(result).toMatchObject({
      isError: false,
      content: [{ type: 'text', text: expect.stringContaining('The tool answered: 42') }],
      _meta: { finishReason: 'stop', usage: { totalTokens: expect.any(Number) } },
    });
  });

  it('gets progress at each step and tool', async () => {
    const client = await connect();
    const messages: (string | undefined)[] = [];

    await client.callTool(
      { name: 'ask', arguments: { question: 'calculator {"expression": "1 + 1"}' } },
      undefined,
      { onprogress: ({ message }) => messages.push(message) },
    );

    expect(messages).toEqual([
      'The model has answered',
      'The agent calls the tool calculator',
      'The model has answered',
    ]);
  });

  it('gets the answers of calls at once, each its own', async () => {
    const client = await connect();
    const numbers = Array.from({ length: 8 }, (_, index) => index);

    const results = await Promise.all(
      numbers.map((index) => ask(client, `calculator {"expression": "${index} + 100"}`)),
    );

    for (const [index, { content }] of results.entries()) {
      expect(JSON.stringify(content)).toContain(String(index + 100));
    }
  });

  it('cancels a call, which ends the call of the model', async () => {
    const client = await connect();
    const controller = new AbortController();
    const asking = client.callTool(
      { name: 'ask', arguments: { question: 'dev/slow-60000 Hi' } },
      undefined,
      { signal: controller.signal },
    );
    const rejected = expect(asking).rejects.toThrow('no longer needed');
    await eventually('the model is called', () => environment.model.calls().length === 1);

    controller.abort(new Error('no longer needed'));

    await rejected;
    await eventually('the call of the model ends', () =>
      environment.model.calls().every(({ status }) => status === 'aborted'),
    );
  });

  it('gets a failed run as a result with the reason, and no detail of the model', async () => {
    const client = await connect();

    const result = await ask(client, 'dev/quota Hi');

    expect(result).toMatchObject({ isError: true, _meta: { code: 'upstream_quota' } });
    expect(JSON.stringify(result)).not.toContain('insufficient_quota');
  });

  it.each([
    [{ question: ' ' }, 'must not be blank'],
    [{}, 'question'],
    [{ question: 'Hi', system: 'x' }, 'system'],
  ])('gets wrong arguments as a result that names the field: %j', async (input, expected) => {
    const client = await connect();

    const result = await client.callTool({ name: 'ask', arguments: input });

    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain(expected);
    expect(environment.model.calls()).toHaveLength(0);
  });

  it('gets an error of the protocol for other tools and methods', async () => {
    const client = await connect();

    await expect(client.callTool({ name: 'other' })).rejects.toMatchObject({ code: -32_602 });
    await expect(client.listPrompts()).rejects.toThrow();
  });

  it('is refused without a key of a caller', async () => {
    await expect(connect('wrong')).rejects.toMatchObject({ code: 401 });
  });

  it('has the limits of a chat', async () => {
    const client = await connect('other-key');

    const pings = Array.from({ length: REQUESTS_PER_MINUTE + 1 }, () => client.ping());

    await expect(Promise.all(pings)).rejects.toMatchObject({ code: 429 });
    await expect(ask(client, 'Hi')).rejects.toMatchObject({ code: 429 });
    expect(environment.model.calls()).toHaveLength(0);
  });
});

describe('the endpoint', () => {
  it.each(['GET', 'DELETE'])('answers 405 to %s', async (method) => {
    const response = await fetch(`${environment.url}/mcp`, {
      method,
      headers: { 'x-api-key': 'agent-key' },
    });

    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it.each([
    ['https://evil.example', 403],
    ['http://localhost.evil.example', 403],
    ['null', 403],
    ['https://app.example.com', 200],
    ['http://localhost:6274', 200],
  ])('answers requests of the origin %s with %i', async (origin, status) => {
    const response = await post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { origin });

    expect(response.status).toBe(status);
  });

  it.each<readonly [string, unknown, Record<string, string>]>([
    ['a batch', [CALL, CALL], {}],
    ['no JSON-RPC', { question: 'Hi' }, {}],
    ['an unknown version', CALL, { 'mcp-protocol-version': '2024-01-01' }],
  ])('refuses %s with 400', async (_what, body, headers) => {
    const response = await post(body, headers);

    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ jsonrpc: '2.0', id: null });
    expect(environment.model.calls()).toHaveLength(0);
  });

  it('answers notifications with 202 and no body', async () => {
    const response = await post({ jsonrpc: '2.0', method: 'notifications/initialized' });

    expect([response.status, await response.text()]).toEqual([202, '']);
  });

  it('ends the call of the model when the client disconnects', async () => {
    const controller = new AbortController();
    const params = { name: 'ask', arguments: { question: 'dev/slow-60000 Hi' } };
    const rejected = expect(
      post({ ...CALL, params }, { accept: 'text/event-stream' }, controller.signal),
    ).rejects.toThrow();
    await eventually('the model is called', () => environment.model.calls().length === 1);

    controller.abort();

    await rejected;
    await eventually('the call of the model ends', () =>
      environment.model.calls().every(({ status }) => status === 'aborted'),
    );
  });

  it('answers clients that accept no stream with JSON', async () => {
    const response = await post(CALL, { accept: 'application/json' });

    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({ id: 'a', result: { isError: false } });
  });
});
