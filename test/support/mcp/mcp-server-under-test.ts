import {
  createMcpServer,
  type McpServer,
  type McpServerOptions,
} from '../../../shared/agent/mcp/mcp-server.ts';
import { executeToolCalls } from '../../../shared/agent/tool-calls.ts';
import { runContext } from '../agent/scripted-tools.ts';
import { createRecordedTelemetry } from '../recorded-telemetry.ts';
import {
  type ScriptedMcpServer,
  type ScriptedTool,
  startScriptedMcpServer,
} from './scripted-mcp-server.ts';

export const ECHO: ScriptedTool = { name: 'echo', description: 'Echoes' };
const closing: (() => Promise<void>)[] = [];

/** Closes everything that the tests of a file have started. */
export async function closeMcpServers(): Promise<void> {
  for (const close of closing.splice(0).toReversed()) await close();
}

interface Setup {
  readonly tools?: readonly ScriptedTool[];
  readonly allowed?: readonly string[];
  readonly effect?: 'none' | 'once';
  readonly connectTimeoutMs?: number;
  readonly credential?: McpServerOptions['credential'];
  readonly refreshCredential?: () => Promise<boolean>;
}

/** A client of a scripted server named `docs`, not connected yet. */
export async function setUpMcpServer({
  tools = [ECHO],
  allowed,
  effect = 'none',
  ...options
}: Setup = {}) {
  const remote = await startScriptedMcpServer(tools);
  const telemetry = createRecordedTelemetry();
  let now = 0;
  const server = createMcpServer({
    name: 'docs',
    url: remote.url,
    tools: (allowed ?? tools.map(({ name }) => name)).map((name) => ({
      name,
      exposedAs: `docs__${name}`,
      effect,
    })),
    credential: () => 'none',
    refreshCredential: async () => false,
    connectTimeoutMs: 20_000,
    clock: { now: () => now },
    telemetry,
    ...options,
  });
  closing.push(
    () => remote.stop(),
    () => server.close(),
  );
  const logged = () => telemetry.lines.map(({ message }) => message);
  const pass = (ms: number) => (now += ms);
  return { remote, server, telemetry, logged, pass };
}

/** What the model reads of a call, with the tool's time limit. */
export async function outputOf(
  server: McpServer,
  name: string,
  {
    input = {},
    timeoutMs = 30_000,
  }: { readonly input?: unknown; readonly timeoutMs?: number } = {},
) {
  const call = { id: 'call_1', name: `docs__${name}`, arguments: JSON.stringify(input) };
  const options = {
    tools: server.tools(),
    context: runContext(),
    limits: { timeoutMs, maxOutputChars: 1_000 },
  };
  const { value } = await executeToolCalls([call], options).next();
  return { status: value?.summary.status, output: value?.output ?? '' };
}

/** How many tool calls reached the server. */
export function callsOf({ methods }: ScriptedMcpServer): number {
  return methods.filter((method) => method === 'tools/call').length;
}
