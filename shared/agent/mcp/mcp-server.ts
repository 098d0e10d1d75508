import { raceAbort } from '../../resilience/abort.ts';
import { compileSchema, type ValidateValue } from '../json-schema.ts';
import {
  type Tool,
  type ToolContext,
  ToolInputError,
  ToolReportedError,
  ToolUnavailableError,
} from '../tool.ts';
import {
  createMcpConnection,
  type McpConnection,
  type McpConnectionOptions,
  unavailable,
} from './mcp-connection.ts';
import { McpReportedError, type McpSession, McpSessionError } from './mcp-session.ts';
import { type McpToolDescription, readToolDescription, readToolResult } from './mcp-text.ts';

/** A tool of a server that the settings allow. */
export interface AllowedMcpTool {
  readonly name: string;
  /** The name that the model reads. */
  readonly exposedAs: string;
  readonly effect: Tool['effect'];
}

export interface McpServerOptions extends McpConnectionOptions {
  readonly tools: readonly AllowedMcpTool[];
  readonly timeoutMs?: number | undefined;
  readonly maxOutputChars?: number | undefined;
}

/** The tools of one MCP server, over a connection that is opened when they are first needed. */
export interface McpServer {
  readonly name: string;
  /** The tools that the server last listed and the settings allow. */
  tools(): readonly Tool[];
  isAvailable(): boolean;
  /**
   * Waits for the first connection of the process. Later it opens a lost connection again without
   * waiting. Never rejects.
   */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

export function createMcpServer(options: McpServerOptions): McpServer {
  let tools: readonly Tool[] = [];
  const list = createToolList(options, (tool, call) =>
    callTool(tool, { ...call, connection, refreshCredential: options.refreshCredential }),
  );
  const connection = createMcpConnection(options, async (session) => {
    tools = await list(session);
  });
  return {
    name: options.name,
    tools: () => tools,
    isAvailable: () => connection.isAvailable(),
    async prepare() {
      connection.refreshIfOld();
      if (!connection.canOpen()) return;
      const opening = connection.acquire().catch(() => undefined);
      if (connection.isAvailable() && tools.length === 0) await opening;
    },
    close: () => connection.close(),
  };
}

interface RemoteCall {
  readonly input: unknown;
  readonly context: ToolContext;
}

type CallRemote = (tool: string, call: RemoteCall) => Promise<string>;

/** Lists the allowed tools of a session. It logs which are missing and which have changed. */
function createToolList(options: McpServerOptions, call: CallRemote) {
  const { name: server, telemetry } = options;
  const known = new Map<string, string>();
  return async (session: McpSession): Promise<readonly Tool[]> => {
    const listed = new Map<string, McpToolDescription>();
    for (const raw of await session.listTools()) {
      const described = readToolDescription(raw, server);
      if (described !== undefined) listed.set(described.name, described);
    }
    const missing: string[] = [];
    const tools = options.tools.flatMap((allowed) => {
      const described = listed.get(allowed.name);
      if (described === undefined) {
        missing.push(allowed.name);
        return [];
      }
      const text = JSON.stringify(described);
      const before = known.get(allowed.name);
      if (before !== undefined && before !== text) {
        telemetry.warn('mcp tool changed', { server, tool: allowed.name });
      }
      known.set(allowed.name, text);
      return [toTool(described, { allowed, options, call })];
    });
    if (missing.length > 0) {
      telemetry.warn('mcp tools missing', { server, tools: missing.join(', ') });
    }
    return tools;
  };
}

interface ToolOptions {
  readonly call: CallRemote;
  readonly allowed: AllowedMcpTool;
  readonly options: McpServerOptions;
}

function toTool(described: McpToolDescription, { allowed, options, call }: ToolOptions): Tool {
  const { description, parameters } = described;
  let validate: Promise<ValidateValue> | undefined;
  return {
    definition: { name: allowed.exposedAs, description, parameters },
    effect: allowed.effect,
    dataFrom: `the server "${options.name}"`,
    timeoutMs: options.timeoutMs,
    maxOutputChars: options.maxOutputChars,
    async call(input, context) {
      validate ??= compileSchema(JSON.stringify(parameters));
      await assertValid(input, validate);
      return call(allowed.name, { input, context });
    },
  };
}

async function assertValid(input: unknown, validate: Promise<ValidateValue>): Promise<void> {
  const problem = await validate
    .then((check) => check(input))
    .catch((thrown: unknown) => {
      throw new ToolUnavailableError('Its parameters cannot be checked', { cause: thrown });
    });
  if (problem === undefined) return;
  const where = problem.path === '' ? 'They' : `"${problem.path}"`;
  throw new ToolInputError(`${where} ${problem.expected}`);
}

interface CallOptions extends RemoteCall {
  readonly connection: McpConnection;
  readonly refreshCredential: McpServerOptions['refreshCredential'];
}

/** A call that the server certainly did not run is repeated once, on a new session. */
async function callTool(tool: string, options: CallOptions): Promise<string> {
  const { input, context, connection, refreshCredential } = options;
  const { signal, traceparent } = context;
  for (let attempt = 1; ; attempt += 1) {
    const session = await raceAbort(connection.acquire(), signal);
    try {
      const result = await session.callTool({ name: tool, input, signal, traceparent });
      const output = readToolResult(result);
      if (output === undefined) {
        throw new ToolUnavailableError('Its server sent a result that cannot be read');
      }
      if (output.isError) throw new ToolReportedError(output.text);
      return output.text;
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      if (thrown instanceof McpReportedError) throw new ToolReportedError(thrown.text);
      if (!(thrown instanceof McpSessionError)) throw thrown;
      connection.drop(session);
      const { failure } = thrown;
      const canRepeat =
        attempt === 1 &&
        (failure === 'lost' || (failure === 'unauthorized' && (await refreshCredential())));
      if (!canRepeat) throw unavailable(thrown);
    }
  }
}
