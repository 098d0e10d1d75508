import type { Agent } from '../agent/agent.ts';
import { createCachedAgent } from '../agent/cached-agent.ts';
import { inputBoundsOf } from '../agent/input-bounds.ts';
import { type PromptOptions, sizeOf } from '../agent/model-request.ts';
import { createAgent } from '../agent/run-loop.ts';
import { createTracedAgent } from '../agent/traced-agent.ts';
import type { Settings } from '../config/read-config.ts';
import { limitToCapacity } from '../model/capacity-limit.ts';
import type { Model } from '../model/model.ts';
import { estimateTokens } from '../rate-limit/reservation.ts';
import {
  type ConfiguredGuardrails,
  createConfiguredGuardrails,
  type GuardrailDependencies,
} from './guardrails.ts';
import type { ConfiguredModel } from './model.ts';
import type { ConfiguredCache } from './redis-and-cache.ts';
import { type AgentTools, createOutputFormat, runLimitsOf, withPreparedTools } from './tools.ts';

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
