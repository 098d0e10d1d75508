import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import * as z from 'zod';

interface ToolCall {
  readonly id: unknown;
  readonly input: unknown;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface ScriptedTool {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema?: unknown;
  /** Returns a result, or answers by itself and returns undefined. */
  readonly run?: ((call: ToolCall) => unknown) | undefined;
}

export interface ScriptedMcpServer {
  readonly url: string;
  /** The methods of all messages, in their order. */
  readonly methods: string[];
  /** Replaces the tools. */
  setTools(tools: readonly ScriptedTool[]): void;
  /** Sends a notification on every open stream. */
  notify(method: string): void;
  /** The number of open streams. */
  streams(): number;
  /** Ends each stream at once, and has the client open it again. Counts the streams. */
  endStreams(): () => number;
  forgetSessions(): void;
  /** Answers every request with this status, or never; undefined for normal work. */
  failWith(failure: number | 'silence' | undefined): void;
  /** Requests need this value in their Authorization header. */
  requireAuthorization(value: string): void;
  stop(): Promise<void>;
}

const messageSchema = z.looseObject({
  id: z.unknown().optional(),
  method: z.string().default('response'),
  params: z
    .looseObject({ name: z.string().optional(), arguments: z.unknown().optional() })
    .optional(),
});

/** A small MCP server with sessions, whose tools may answer in ways that no library permits. */
export async function startScriptedMcpServer(
  first: readonly ScriptedTool[],
  port = 0,
): Promise<ScriptedMcpServer> {
  const methods: string[] = [];
  const streams = new Set<ServerResponse>();
  let tools = first;
  let sessions = new Set<string>();
  let failure: number | 'silence' | undefined;
  let authorization: string | undefined;
  let ended: number | undefined;

  async function handlePost(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { id, method, params } = messageSchema.parse(JSON.parse(await text(request)));
    methods.push(method);
    if (method === 'initialize') {
      const session = `session-${sessions.size}`;
      sessions.add(session);
      response.setHeader('mcp-session-id', session);
      return reply(response, id, {
        protocolVersion: '2025-11-25',
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'scripted', version: '1' },
      });
    }
    if (!sessions.has(String(request.headers['mcp-session-id']))) return end(response, 404);
    if (method === 'tools/list') return reply(response, id, { tools: tools.map(describe) });
    if (method !== 'tools/call') return end(response, 202);
    const tool = tools.find(({ name }) => name === params?.name);
    const run = tool?.run ?? (({ input }) => textResult(JSON.stringify(input)));
    const result = run({ id, input: params?.arguments, request, response });
    if (result !== undefined) reply(response, id, result);
  }

  const server = createServer((request, response) => {
    if (failure === 'silence') return;
    if (failure !== undefined) return end(response, failure);
    if (authorization !== undefined && request.headers.authorization !== authorization) {
      return end(response, 401);
    }
    if (request.method === 'POST') return void handlePost(request, response);
    if (request.method !== 'GET') return end(response, 200);
    if (ended !== undefined) {
      ended += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return void response.end('retry: 1\ndata:\n\n');
    }
    streams.add(response);
    response.on('close', () => streams.delete(response));
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}/mcp`,
    methods,
    setTools: (next) => (tools = next),
    notify(method) {
      const data = JSON.stringify({ jsonrpc: '2.0', method });
      for (const stream of streams) stream.write(`event: message\ndata: ${data}\n\n`);
    },
    streams: () => streams.size,
    endStreams() {
      ended = 0;
      return () => ended ?? 0;
    },
    forgetSessions: () => (sessions = new Set()),
    failWith: (next) => (failure = next),
    requireAuthorization: (value) => (authorization = value),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function textResult(value: string) {
  return { content: [{ type: 'text', text: value }] };
}

function describe({ name, description, inputSchema = { type: 'object' } }: ScriptedTool) {
  return { name, description, inputSchema };
}

function reply(response: ServerResponse, id: unknown, result: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}
