import { type ErrorCode, toServiceError } from '../errors.ts';
import {
  ASK_TOOL,
  cancelledIdOf,
  encodeAskFailure,
  encodeInitialize,
  encodeMcpError,
  encodeMcpResult,
  encodeToolList,
  MCP_ERRORS,
  MCP_VERSIONS,
  type McpMessage,
  parseMcpMessage,
  toolNameOf,
} from '../protocols/mcp.ts';
import { protocolById } from '../protocols/registry.ts';
import { handleChat, type ChatDependencies } from './chat-handler.ts';
import { reportFailure } from './handler.ts';
import type { MeteredContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';

/** What the MCP endpoint needs of the service. */
export interface McpDependencies extends ChatDependencies {
  readonly mcp: {
    /** What clients read about the tool `ask`. */
    readonly toolDescription: string;
    /** Origins of web pages that may call the endpoint, besides those of this machine. */
    readonly allowedOrigins: readonly string[];
    readonly version: string;
  };
}

/** A header that ties a cancellation to its call. The service keeps nothing under it. */
const SESSION_HEADER = 'mcp-session-id';
const SESSION_ID = /^[\x21-\x7e]{1,128}$/;

/**
 * The agent as an MCP server over Streamable HTTP, without sessions: each request stands alone, so
 * that any instance can answer it. Its clients have the limits of a chat.
 */
export async function handleMcp(
  context: MeteredContext,
  dependencies: McpDependencies,
): Promise<PlainResponse> {
  if (!isAllowedOrigin(context.header('origin'), dependencies)) {
    return refuse(403, 'Cannot accept requests of this origin');
  }
  if (context.request.method !== 'POST') {
    const refusal = refuse(405, 'Cannot accept this method: the endpoint has no stream of its own');
    return { ...refusal, headers: { ...refusal.headers, allow: 'POST' } };
  }
  const message = parseMcpMessage(await context.readJson());
  const version = context.header('mcp-protocol-version');
  if (version !== undefined && !MCP_VERSIONS.some((known) => known === version)) {
    return refuse(400, `Cannot serve this version; supported are ${MCP_VERSIONS.join(', ')}`);
  }
  if (message === undefined) {
    const code = MCP_ERRORS.invalidRequest;
    const expected = 'the body must be one JSON-RPC message; batches are not supported';
    return jsonResponse(encodeMcpError(undefined, { code, message: expected }), 400);
  }
  return handleMessage(context, { message, dependencies });
}

/**
 * A web page whose name was pointed at this machine sends its own origin. Other clients than
 * browsers send none.
 */
function isAllowedOrigin(origin: string | undefined, { mcp }: McpDependencies): boolean {
  if (origin === undefined) return true;
  const host = URL.parse(origin)?.hostname;
  const isLocal = host === 'localhost' || host === '127.0.0.1' || host === '[::1]';
  return isLocal || mcp.allowedOrigins.includes(origin);
}

function refuse(status: number, message: string): PlainResponse {
  return jsonResponse(encodeMcpError(undefined, { code: MCP_ERRORS.refused, message }), status);
}

interface ReceivedMessage {
  readonly message: McpMessage;
  readonly dependencies: McpDependencies;
}

async function handleMessage(
  context: MeteredContext,
  { message, dependencies }: ReceivedMessage,
): Promise<PlainResponse> {
  const { id, method } = message;
  if (method === 'notifications/cancelled') cancelCall(context, cancelledIdOf(message));
  // Notifications and responses need no answer.
  if (id === undefined || method === undefined) return { status: 202 };
  const { mcp, publicModel: name } = dependencies;
  switch (method) {
    case 'initialize': {
      const response = jsonResponse(encodeInitialize(message, { name, version: mcp.version }));
      return {
        ...response,
        headers: { ...response.headers, [SESSION_HEADER]: crypto.randomUUID() },
      };
    }
    case 'ping':
      return jsonResponse(encodeMcpResult(id, {}));
    case 'tools/list':
      return jsonResponse(encodeToolList(message, mcp.toolDescription));
    case 'tools/call':
      if (toolNameOf(message) === ASK_TOOL) return handleAsk(context, { message, dependencies });
      return jsonResponse(
        encodeMcpError(id, {
          code: MCP_ERRORS.invalidParams,
          message: `There is no such tool; the only one is ${ASK_TOOL}`,
        }),
      );
    default:
      return jsonResponse(
        encodeMcpError(id, { code: MCP_ERRORS.unknownMethod, message: 'There is no such method' }),
      );
  }
}

/** Failures that are about the caller or the instance and not about the question. */
const HTTP_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'rate_limited',
  'budget_exhausted',
  'overloaded',
]);

/** The calls that this instance answers, by caller, session and id. */
const activeCalls = new Map<string, AbortController>();

async function handleAsk(
  context: MeteredContext,
  { message, dependencies }: ReceivedMessage,
): Promise<PlainResponse> {
  const { requestId, clientDisconnected } = context;
  const cancellation = trackCall(context, message.id);
  try {
    // A cancelled call ends like one whose client has disconnected: without an answer.
    const signal = AbortSignal.any([clientDisconnected, cancellation.signal]);
    const chat = { protocol: protocolById('mcp'), body: message, dependencies };
    return await handleChat({ ...context, clientDisconnected: signal }, chat);
  } catch (thrown) {
    if (cancellation.signal.aborted) return { status: 202 };
    const error = toServiceError(thrown);
    if (clientDisconnected.aborted || HTTP_FAILURES.has(error.code)) throw thrown;
    reportFailure(context.telemetry, { message: 'mcp call failed', error });
    // The status is 200 all the same, so the code is recorded here.
    context.startStream()(error.code);
    return jsonResponse(encodeAskFailure(message.id, { error, requestId }));
  }
}

function callKey(context: MeteredContext, id: McpMessage['id']): string | undefined {
  const session = context.header(SESSION_HEADER);
  if (session === undefined || !SESSION_ID.test(session) || id === undefined) return undefined;
  return JSON.stringify([context.callerId, session, id]);
}

function trackCall(context: MeteredContext, id: McpMessage['id']): AbortController {
  const controller = new AbortController();
  const key = callKey(context, id);
  if (key === undefined) return controller;
  activeCalls.set(key, controller);
  context.onEnd(() => {
    if (activeCalls.get(key) === controller) activeCalls.delete(key);
  });
  return controller;
}

/** A cancellation that reaches another instance has no effect, as the protocol permits. */
function cancelCall(context: MeteredContext, id: McpMessage['id']): void {
  const key = callKey(context, id);
  if (key !== undefined) activeCalls.get(key)?.abort();
}
