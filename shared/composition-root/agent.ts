import * as z from 'zod';
import {
  type ConfiguredGuardrails,
  createConfiguredGuardrails,
  type GuardrailDependencies,
} from './guardrails.ts';
import type { ConfiguredModel } from './model.ts';
import type { ConfiguredCache } from './redis-and-cache.ts';
import { memoize } from './secrets.ts';
import type { Agent } from '../agent/agent.ts';
import { createCachedAgent } from '../agent/cached-agent.ts';
import { inputBoundsOf } from '../agent/input-bounds.ts';
import type { McpServer } from '../agent/mcp/mcp-server.ts';
import { type PromptOptions, sizeOf } from '../agent/model-request.ts';
import { createAgent } from '../agent/run-loop.ts';
import type { RunLimits } from '../agent/run-state.ts';
import type { Tool } from '../agent/tool.ts';
import { createTracedAgent } from '../agent/traced-agent.ts';
import type { Clock } from '../clock.ts';
import { ConfigError } from '../config/config-error.ts';
import { mcpToolName } from '../config/cross-checks.ts';
import type { Settings } from '../config/read-config.ts';
import type { PartStatus } from '../health/readiness.ts';
import { parseJson } from '../json.ts';
import { limitToCapacity } from '../model/capacity-limit.ts';
import type { Model, ResponseFormat } from '../model/model.ts';
import { estimateTokens } from '../rate-limit/reservation.ts';
import { raceAbort } from '../resilience/abort.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** What the agent adds to the input of every run; part of the cache key. */
async function createPromptOptions(
  settings: Settings,
  { tools, notices }: AgentTools,
): Promise<PromptOptions> {
  const { maxOutputTokens, defaultOutputTokens, temperature, contextTokens } = settings.model;
  return {
    instructions: settings.agent.instructions,
    parameters: { maxOutputTokens, defaultOutputTokens, temperature, contextTokens },
    bounds: inputBoundsOf({ ...settings.limits, contextTokens }),
    tools,
    notices,
    output: await createOutputFormat(settings),
  };
}

interface AgentOptions {
  readonly tools: AgentTools;
  readonly model: ConfiguredModel;
  readonly cache: ConfiguredCache | undefined;
}

/** The agent of chats and batches, with what the model reads and the guardrails that are on. */
export async function createConfiguredAgent(
  dependencies: Omit<GuardrailDependencies, 'prompt'>,
  { tools, model, cache }: AgentOptions,
) {
  const { settings } = dependencies;
  const ownPrompt = await createPromptOptions(settings, tools);
  const guardrails = await createConfiguredGuardrails({ ...dependencies, prompt: ownPrompt });
  const prompt = guardrails?.prompt ?? ownPrompt;
  const agent = createServiceAgent(settings, { prompt, ownPrompt, guardrails, model, cache });
  return { agent: withPreparedTools(agent, tools), prompt, guardrails };
}

interface AgentDependencies {
  readonly prompt: PromptOptions;
  /** Without the marker of the guardrails. */
  readonly ownPrompt: PromptOptions;
  readonly guardrails: ConfiguredGuardrails | undefined;
  readonly model: ConfiguredModel;
  readonly cache: ConfiguredCache | undefined;
}

/** A request that the endpoint can never admit is refused, if its capacity is known. */
function fitToCapacity({ model: { capacityTokensPerMinute } }: Settings, model: Model): Model {
  if (capacityTokensPerMinute === undefined) return model;
  return limitToCapacity(model, {
    tokensPerMinute: capacityTokensPerMinute,
    estimate: ({ maxOutputTokens = 0, ...request }) =>
      estimateTokens(sizeOf({ ...request, maxOutputTokens })),
  });
}

/** The agent with its wrappers from the inside out: model, guardrails and cache (if on), tracing. */
function createServiceAgent(
  settings: Settings,
  { prompt, ownPrompt, guardrails, model, cache }: AgentDependencies,
): Agent {
  const limits = runLimitsOf(settings);
  const plain = createAgent({ model: fitToCapacity(settings, model.model), limits, ...prompt });
  const uncached = guardrails?.wrap(plain) ?? plain;
  const agent =
    cache === undefined
      ? uncached
      : createCachedAgent({
          ...ownPrompt,
          guardrails: guardrails?.fingerprint,
          responseCache: cache.responseCache,
          agent: uncached,
          model: () => model.fingerprint(),
        });
  return createTracedAgent(agent, { name: settings.agent.name });
}

type ToolName = Settings['tools']['enabled'][number];

interface ToolDependencies {
  readonly settings: Settings;
  readonly clock: Clock;
}

/** Each own tool by its name in `tools.enabled`. The module of a tool is loaded only if it is used. */
const TOOLS: Readonly<Record<ToolName, (parts: ToolDependencies) => Promise<Tool>>> = {
  async current_time({ clock }) {
    const { createCurrentTime } = await import('../agent/tools/current-time.ts');
    return createCurrentTime(clock);
  },
  async calculator() {
    const { calculator } = await import('../agent/tools/calculator.ts');
    return calculator;
  },
  async search_conversation() {
    const { searchConversation } = await import('../agent/tools/search-conversation.ts');
    return searchConversation;
  },
  async http_fetch({ settings }) {
    const { createHttpFetch } = await import('../agent/tools/safe-fetch.ts');
    return createHttpFetch({ allowedHosts: settings.tools.httpAllowedHosts });
  },
};

/** The tools of the agent: those that the settings enable, and those of MCP servers. */
export interface AgentTools {
  /** At this moment. */
  readonly tools: () => readonly Tool[];
  /** Sentences for the model about tools that are missing. */
  readonly notices: () => readonly string[];
  /** Connects to the MCP servers, the first time within their time limits. Never rejects. */
  readonly prepare: () => Promise<void>;
  /** Undefined without MCP servers. */
  readonly status: (() => Promise<PartStatus>) | undefined;
  readonly close: () => Promise<void>;
}

interface AgentToolDependencies extends ToolDependencies {
  readonly secrets: Secrets;
  readonly telemetry: Telemetry;
}

export async function createAgentTools(dependencies: AgentToolDependencies): Promise<AgentTools> {
  const { settings } = dependencies;
  const names = [...new Set(settings.tools.enabled)];
  const own = await Promise.all(names.map((name) => TOOLS[name](dependencies)));
  const serverNames = Object.keys(settings.tools.mcp);
  let servers: readonly McpServer[] = [];
  // The client library costs a cold start, and a health probe has no use for it.
  const load = memoize(async () => {
    const { createMcpServer } = await import('../agent/mcp/mcp-server.ts');
    servers = serverNames.map((name) => createMcpServer(mcpServerOptions(name, dependencies)));
  });
  return {
    tools: () => [...own, ...servers.flatMap((server) => server.tools())],
    notices: () =>
      servers
        .filter((server) => !server.isAvailable() && server.tools().length === 0)
        .map(({ name }) => `The tools of the server "${name}" are not available now.`),
    async prepare() {
      if (serverNames.length === 0) return;
      await load();
      await Promise.all(servers.map((server) => server.prepare()));
    },
    status: serverNames.length === 0 ? undefined : async () => mcpStatus(servers),
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  };
}

function mcpServerOptions(name: string, dependencies: AgentToolDependencies) {
  const { settings, secrets, clock, telemetry } = dependencies;
  const server = settings.tools.mcp[name];
  if (server === undefined) throw new RangeError('Expected the name of a server');
  const { authSecret, authHeader } = server;
  return {
    ...server,
    name,
    clock,
    telemetry,
    tools: server.tools.map((tool) => ({
      name: tool,
      exposedAs: mcpToolName(name, tool),
      effect: server.repeatableTools.includes(tool) ? ('none' as const) : ('once' as const),
    })),
    credential() {
      if (authSecret === undefined) return 'none' as const;
      const value = secrets.get(authSecret);
      if (value === undefined) return 'missing' as const;
      if (authHeader !== undefined) return { header: authHeader, value };
      return { header: 'authorization', value: `Bearer ${value}` };
    },
    refreshCredential: async () => authSecret !== undefined && secrets.refreshNow(),
  };
}

function mcpStatus(servers: readonly McpServer[]): PartStatus {
  const missing = servers.filter((server) => !server.isAvailable());
  if (missing.length === 0) return { status: 'ready' };
  const names = missing.map(({ name }) => name).join(', ');
  return { status: 'degraded', reason: `MCP servers that do not answer: ${names}` };
}

/** The agent, which connects to its MCP servers before a run. */
export function withPreparedTools(agent: Agent, { prepare, status }: AgentTools): Agent {
  if (status === undefined) return agent;
  return {
    async run(input, context) {
      await raceAbort(prepare(), context.signal);
      return agent.run(input, context);
    },
    async *stream(input, context) {
      await raceAbort(prepare(), context.signal);
      yield* agent.stream(input, context);
    },
  };
}

/**
 * The shape of answers by the settings; undefined for text.
 * @throws ConfigError if the schema cannot be used
 */
export async function createOutputFormat({
  output,
}: Settings): Promise<ResponseFormat | undefined> {
  const { format, schema, schemaName: name, strict } = output;
  if (format === 'text') return undefined;
  if (format === 'json_object') return { type: format };
  const parsed = z.record(z.string(), z.unknown()).parse(parseJson(schema ?? '{}'));
  const responseFormat = { type: format, name, schema: parsed, strict } as const;
  try {
    const { createOutputCheck } = await import('../agent/structured-output.ts');
    await createOutputCheck(responseFormat);
  } catch {
    throw new ConfigError([
      { setting: 'output.schema', expected: 'a JSON Schema without remote references' },
    ]);
  }
  return responseFormat;
}

/** The bounds of every run, by the settings. */
export function runLimitsOf({ agent, tools }: Settings): RunLimits {
  const { timeoutMs, maxOutputChars } = tools;
  return {
    maxSteps: agent.maxSteps,
    maxToolCalls: agent.maxToolCalls,
    maxTokens: agent.maxRunTokens,
    tool: { timeoutMs, maxOutputChars },
  };
}
