import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import { linkController, withTimeout } from '../../resilience/abort.ts';
import { callScope, createBoundedFetch, type McpCredential } from './mcp-fetch.ts';

/** One connection to an MCP server, initialized. */
export interface McpSession {
  /** Every tool of the server, unchecked. */
  listTools(): Promise<readonly unknown[]>;
  /**
   * Returns the result, unchecked.
   * @throws McpSessionError, or McpReportedError if the server answers with an error
   */
  callTool(call: McpCall): Promise<unknown>;
  /** Closes the session once its calls have ended. */
  retire(): void;
  close(): Promise<void>;
}

interface McpCall {
  readonly name: string;
  readonly input: unknown;
  readonly signal: AbortSignal;
  readonly traceparent: string | undefined;
}

export interface McpSessionOptions {
  readonly url: string;
  /** Read for each request, so that the value can be rotated. */
  readonly credential: () => McpCredential;
  /** Time limit for connecting, and for listing the tools. */
  readonly timeoutMs: number;
  readonly onToolsChanged: () => void;
}

/**
 * Why a call has no result. `lost`: the server no longer knows the session and ran nothing.
 * `unauthorized`: it refused the credential and ran nothing. `broken`: whether it ran is unknown.
 */
export type McpSessionFailure = 'lost' | 'unauthorized' | 'broken';

export class McpSessionError extends Error {
  readonly failure: McpSessionFailure;
  /** The HTTP status, if the server answered with one. */
  readonly status: number | undefined;

  constructor(failure: McpSessionFailure, options: { cause: unknown; status: number | undefined }) {
    super(`The session with the MCP server failed: ${failure}`, { cause: options.cause });
    this.name = 'McpSessionError';
    this.failure = failure;
    this.status = options.status;
  }
}

/** The server answered with a JSON-RPC error. `text` is text from outside. */
export class McpReportedError extends Error {
  readonly text: string;

  constructor(text: string) {
    super('The MCP server answered with an error');
    this.name = 'McpReportedError';
    this.text = text;
  }
}

const CLIENT = { name: 'serverless-agent', version: '1' } as const;
const MAX_PAGES = 20;
/** Longer than any tool call may take: the signal of the call ends it earlier. */
const LONGEST_CALL_MS = 230_000;
const MAX_CLOSE_MS = 500;

const toolPage = z.looseObject({
  tools: z.array(z.unknown()),
  nextCursor: z.string().optional(),
});

/** @throws McpSessionError */
export async function openMcpSession(options: McpSessionOptions): Promise<McpSession> {
  const { url, timeoutMs, onToolsChanged } = options;
  const client = new Client(CLIENT, { capabilities: {} });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch: createBoundedFetch(options.credential),
  });
  client.setNotificationHandler(ToolListChangedNotificationSchema, onToolsChanged);
  try {
    const connecting = client.connect(transport, { timeout: timeoutMs });
    await withTimeout(connecting, { timeoutMs, onTimeout: tookTooLong });
  } catch (thrown) {
    await client.close().catch(() => undefined);
    throw toSessionError(thrown, transport);
  }
  return createSession({ client, transport, timeoutMs });
}

interface OpenedSession {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  readonly timeoutMs: number;
}

function createSession({ client, transport, timeoutMs }: OpenedSession): McpSession {
  let activeCalls = 0;
  let isRetired = false;
  async function close(): Promise<void> {
    const timeout = { timeoutMs: MAX_CLOSE_MS, onTimeout: tookTooLong };
    await withTimeout(transport.terminateSession(), timeout).catch(() => undefined);
    await client.close().catch(() => undefined);
  }
  return {
    async listTools() {
      try {
        const timeout = { timeoutMs, onTimeout: tookTooLong };
        return await withTimeout(listAll(client, timeoutMs), timeout);
      } catch (thrown) {
        throw toSessionError(thrown, transport);
      }
    },
    async callTool(call) {
      activeCalls += 1;
      try {
        return await callUntilEnd(client, call);
      } catch (thrown) {
        if (isAnswer(thrown)) throw new McpReportedError(thrown.message);
        throw toSessionError(thrown, transport);
      } finally {
        activeCalls -= 1;
        if (isRetired && activeCalls === 0) void close();
      }
    },
    retire() {
      isRetired = true;
      if (activeCalls === 0) void close();
    },
    close,
  };
}

/** Whether the error is an answer of the server; the client library uses its class for others. */
function isAnswer(thrown: unknown): thrown is McpError {
  if (!(thrown instanceof McpError)) return false;
  const isClosed = thrown.code === -32_000 && thrown.message.endsWith('Connection closed');
  return !isClosed && thrown.code !== -32_001;
}

function tookTooLong(): Error {
  return new Error('The MCP server took too long');
}

async function listAll(client: Client, timeout: number): Promise<readonly unknown[]> {
  const tools: unknown[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const params = cursor === undefined ? {} : { cursor };
    const result = await client.request({ method: 'tools/list', params }, toolPage, { timeout });
    tools.push(...result.tools);
    cursor = result.nextCursor;
    if (cursor === undefined) break;
  }
  return tools;
}

function toSessionError(
  thrown: unknown,
  { sessionId }: StreamableHTTPClientTransport,
): McpSessionError {
  const status = thrown instanceof StreamableHTTPError ? thrown.code : undefined;
  const options = { cause: thrown, status };
  if (status === 401 || status === 403) return new McpSessionError('unauthorized', options);
  // Servers that keep sessions in memory often answer 400 for one that they no longer know.
  const isForgotten = sessionId !== undefined && (status === 404 || status === 400);
  return new McpSessionError(isForgotten ? 'lost' : 'broken', options);
}

/**
 * The client library waits for the time limit if a response ends without a result. This ends the
 * call as soon as its response has ended.
 */
async function callUntilEnd(client: Client, call: McpCall): Promise<unknown> {
  const { name, input, traceparent } = call;
  const link = linkController(call.signal);
  const { controller } = link;
  const ended = Promise.withResolvers<never>();
  let isSettled = false;
  function end(error: Error): void {
    if (isSettled) return;
    ended.reject(error);
    controller.abort(error);
  }
  const params = {
    name,
    arguments: input,
    ...(traceparent === undefined ? {} : { _meta: { traceparent } }),
  };
  const options = { signal: controller.signal, timeout: LONGEST_CALL_MS };
  try {
    return await callScope.run({ ended: end, signal: controller.signal }, () =>
      Promise.race([
        client.request({ method: 'tools/call', params }, z.unknown(), options),
        ended.promise,
      ]),
    );
  } finally {
    isSettled = true;
    link.unlink();
  }
}
