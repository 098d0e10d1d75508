import type {
  Agent,
  AgentEvent,
  AgentInput,
  Message,
  RunCacheOptions,
  RunContext,
  RunResult,
} from './agent.ts';
import { buildModelRequest, imagesOf, type PromptOptions } from './model-request.ts';
import {
  type CacheStatus,
  cacheStatusHeader,
  type CandidateResponse,
  parseCacheControl,
} from '../cache/cache-headers.ts';
import type { StoredResponse } from '../cache/cache-store.ts';
import type { ResponseCache, LookupResult } from '../cache/response-cache.ts';
import type { GuardrailDecision } from '../guardrails/decisions.ts';

interface CachedAgentOptions extends PromptOptions {
  readonly agent: Agent;
  readonly responseCache: ResponseCache;
  /** The settings of the guardrails: an answer that passed others is not served. */
  readonly guardrails?: string | undefined;
  /** The current endpoint and model; a change of either invalidates every entry. */
  readonly model: () => string;
}

/** Increment it when the same model request leads to another result, for example by a guardrail. */
const PROMPT_VERSION = 'agent-3';

/**
 * Wraps an agent with the response cache: a caller's repeated request is served without a model
 * call. A run without a cache scope always calls the model and is not stored.
 */
export function createCachedAgent(options: CachedAgentOptions): Agent {
  const { agent } = options;

  async function run(input: AgentInput, context: RunContext): Promise<RunResult> {
    const { cache } = context;
    if (cache === undefined) return agent.run(input, context);
    const found = await lookup(input, { context, cache, options });
    if (found.kind === 'hit') return toRunResult(found.response);
    const { fill } = found;
    const personal = notePersonalData(context);
    try {
      const result = await agent.run(input, personal.context);
      reportStatus(cache, await fill.store(toCandidate(result, personal.isFound())));
      return result;
    } catch (error) {
      if (!context.signal.aborted) fill.fail(error);
      throw error;
    } finally {
      fill.abandon();
    }
  }

  async function* stream(input: AgentInput, context: RunContext): AsyncGenerator<AgentEvent> {
    const { cache } = context;
    if (cache === undefined) return yield* agent.stream(input, context);
    const found = await lookup(input, { context, cache, options });
    if (found.kind === 'hit') return yield* replay(found.response);
    const { fill } = found;
    const personal = notePersonalData(context);
    try {
      for await (const event of agent.stream(input, personal.context)) {
        // Store before the client sees the end: its next request then finds the entry.
        if (event.type === 'done') {
          await fill.store(toCandidate(event.result, personal.isFound()));
        }
        yield event;
      }
    } catch (error) {
      if (!context.signal.aborted) fill.fail(error);
      throw error;
    } finally {
      fill.abandon();
    }
  }

  return { run, stream };
}

interface LookupOptions {
  readonly context: RunContext;
  readonly cache: RunCacheOptions;
  readonly options: CachedAgentOptions;
}

async function lookup(
  input: AgentInput,
  { context, cache, options }: LookupOptions,
): Promise<LookupResult> {
  const request = buildModelRequest(input, options);
  const { messages, tools = [], callerFields: _names, ...parameters } = request;
  const result = await options.responseCache.lookup({
    parts: {
      callerId: cache.scope,
      model: options.model(),
      parameters,
      promptVersion: PROMPT_VERSION + (options.guardrails ?? ''),
      tools,
      messages,
    },
    traits: traitsOf(input),
    control: parseCacheControl(cache.control),
    signal: context.signal,
    telemetry: context.telemetry,
  });
  reportStatus(cache, result.status);
  return result;
}

function traitsOf({ messages, temperature }: AgentInput) {
  const hasHistory = messages.filter(isConversationMessage).length > 1;
  const hasImages = messages.some((message) => imagesOf(message) > 0);
  return { temperature, hasHistory, hasImages, hasPersonalData: false };
}

function isConversationMessage({ role }: Message): boolean {
  return role === 'user' || role === 'assistant' || role === 'tool';
}

function reportStatus({ onStatus }: RunCacheOptions, status: CacheStatus): void {
  const isHit = status.kind !== 'forward';
  onStatus?.({ header: cacheStatusHeader(status), isHit });
}

/** Whether a guardrail finds personal data in the run. */
function notePersonalData(context: RunContext) {
  let isFound = false;
  return {
    isFound: () => isFound,
    context: {
      ...context,
      onDecision(decision: GuardrailDecision) {
        isFound ||= decision.guardrail === 'pii_detection' && decision.outcome !== 'passed';
        context.onDecision?.(decision);
      },
    },
  };
}

/**
 * A refusal is not stored, because an entry could not tell it from an answer; nor is what stands
 * beside personal data.
 */
function toCandidate(result: RunResult, hasPersonalData: boolean): CandidateResponse {
  return { ...result, isFiltered: result.refusal !== undefined || hasPersonalData };
}

function toRunResult({ text, model, usage }: StoredResponse): RunResult {
  return { text, model, usage, finishReason: 'stop', cached: true, toolCalls: [] };
}

function* replay(response: StoredResponse): Generator<AgentEvent> {
  for (const text of replayText(response.text)) yield { type: 'text-delta', text };
  yield { type: 'done', result: toRunResult(response) };
}

/** About the size of a model's delta: the client sees text grow, and a proxy sees few frames. */
const CHUNK_CHARS = 48;
/** A word with the white space around it. A longer word is split between characters. */
const WORD = /\s*\S{1,48}\s*|\s+/gu;

/** Splits a stored text into the deltas of a stream. Joined, they give the text again. */
export function* replayText(text: string): Generator<string, void, void> {
  let chunk = '';
  for (const [word] of text.matchAll(WORD)) {
    if (chunk !== '' && chunk.length + word.length > CHUNK_CHARS) {
      yield chunk;
      chunk = '';
    }
    chunk += word;
  }
  if (chunk !== '') yield chunk;
}
