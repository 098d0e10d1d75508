import * as z from 'zod';
import type { AgentEvent, RunResult } from '../agent/agent.ts';
import type { ServiceError } from '../errors.ts';
import type { Frame, Protocol, SseEvent, StreamEncoder } from './protocol.ts';
import { parseRequest } from './validation.ts';

/** The versions of the Model Context Protocol that the agent serves, newest first. */
export const MCP_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;

/** The name of the only tool. */
export const ASK_TOOL = 'ask';

const idSchema = z.union([z.string().max(128), z.int()]);

/** A request has an id, a notification has none; a response has neither method nor params. */
export const mcpMessageSchema = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: idSchema.optional(),
  method: z.string().max(128).optional(),
  params: z.looseObject({}).optional(),
});

export type McpMessage = z.infer<typeof mcpMessageSchema>;

/** Undefined if the body is not one message. */
export function parseMcpMessage(body: unknown): McpMessage | undefined {
  return mcpMessageSchema.safeParse(body).data;
}

const askInput = z.strictObject({
  question: z
    .string()
    .max(100_000)
    .refine((text) => text.trim() !== '', 'must not be blank')
    .describe('The question, with everything that the agent needs to know.'),
  maxOutputTokens: z
    .int()
    .min(1)
    .max(128_000)
    .optional()
    .describe('The maximum length of the answer, in tokens.'),
});

const callSchema = z.looseObject({
  id: idSchema,
  params: z.looseObject({
    arguments: askInput,
    _meta: z.looseObject({ progressToken: idSchema.optional() }).optional(),
  }),
});

type AskCall = z.infer<typeof callSchema>;
type AskFrame = Frame<AskCall>;

/** One call of the tool `ask`: the answer is a tool result, and a failed run is one too. */
export const mcpAsk: Protocol<AskCall> = {
  id: 'mcp',
  recognizes: () => false,
  parse: (body) => parseRequest(callSchema, body),
  toInput: ({ params }) => ({
    messages: [{ role: 'user', content: params.arguments.question }],
    maxOutputTokens: params.arguments.maxOutputTokens,
  }),
  wantsStream: (_call, accept) => accept.includes('text/event-stream'),
  encodeResult: (result, { request, requestId }) =>
    encodeMcpResult(request.id, toToolResult(result, requestId)),
  openStream: createAskStream,
};

/** Progress is sent to clients that ask for it: at each tool of the agent and after each step. */
function createAskStream({ request, requestId }: AskFrame): StreamEncoder {
  const progressToken = request.params['_meta']?.progressToken;
  let progress = 0;
  function report(message: string): readonly SseEvent[] {
    if (progressToken === undefined) return [];
    progress += 1;
    const params = { progressToken, progress, message };
    return [{ data: { jsonrpc: '2.0', method: 'notifications/progress', params } }];
  }
  return {
    start: () => [],
    event(event: AgentEvent) {
      switch (event.type) {
        case 'tool-call':
          return report(`The agent calls the tool ${event.name}`);
        case 'step-end':
          return report('The model has answered');
        case 'done':
          return [{ data: encodeMcpResult(request.id, toToolResult(event.result, requestId)) }];
        case 'text-delta':
        case 'tool-result':
          return [];
      }
    },
    fail: (error) => [{ data: encodeAskFailure(request.id, { error, requestId }) }],
  };
}

function toToolResult(result: RunResult, requestId: string) {
  const { text, model, finishReason, usage } = result;
  const { inputTokens, outputTokens, totalTokens } = usage;
  return {
    content: [{ type: 'text', text }],
    isError: false,
    _meta: {
      requestId,
      model,
      finishReason,
      usage: { inputTokens, outputTokens, totalTokens },
    },
  };
}

interface AskFailure {
  readonly error: ServiceError;
  readonly requestId: string;
}

/** The model of the client reads why its call failed, so that it can correct or repeat it. */
export function encodeAskFailure(id: McpMessage['id'], { error, requestId }: AskFailure) {
  return encodeMcpResult(id, {
    content: [{ type: 'text', text: error.message }],
    isError: true,
    _meta: { requestId, code: error.code },
  });
}

/** A JSON-RPC response. */
export function encodeMcpResult(id: McpMessage['id'], result: unknown) {
  return { jsonrpc: '2.0', id, result } as const;
}

/** Codes of JSON-RPC, and the one that servers define for a request that they refuse. */
export const MCP_ERRORS = {
  refused: -32_000,
  invalidRequest: -32_600,
  unknownMethod: -32_601,
  invalidParams: -32_602,
} as const;

interface McpErrorDetails {
  readonly code: (typeof MCP_ERRORS)[keyof typeof MCP_ERRORS];
  readonly message: string;
}

/** A JSON-RPC error. Without an id it is about the request as a whole. */
export function encodeMcpError(id: McpMessage['id'], { code, message }: McpErrorDetails) {
  return { jsonrpc: '2.0', id: id ?? null, error: { code, message } } as const;
}

const initializeParams = z.looseObject({ protocolVersion: z.string() });

/** The version that the client requested if the agent serves it, else the newest. */
export function encodeInitialize(
  { id, params }: McpMessage,
  server: { readonly name: string; readonly version: string },
) {
  const requested = initializeParams.safeParse(params).data?.protocolVersion;
  return encodeMcpResult(id, {
    protocolVersion: MCP_VERSIONS.find((version) => version === requested) ?? MCP_VERSIONS[0],
    capabilities: { tools: { listChanged: false } },
    serverInfo: { name: server.name, version: server.version },
  });
}

export function encodeToolList({ id }: McpMessage, description: string) {
  const { $schema: _dialect, ...inputSchema } = z.toJSONSchema(askInput, { io: 'input' });
  return encodeMcpResult(id, {
    tools: [{ name: ASK_TOOL, description, inputSchema }],
  });
}

const toolCallParams = z.looseObject({ name: z.string() });

/** The name of the tool that a `tools/call` names. */
export function toolNameOf({ params }: McpMessage): string | undefined {
  return toolCallParams.safeParse(params).data?.name;
}

const cancelledParams = z.looseObject({ requestId: idSchema });

/** The id of the request that a `notifications/cancelled` is about. */
export function cancelledIdOf({ params }: McpMessage): McpMessage['id'] {
  return cancelledParams.safeParse(params).data?.requestId;
}
