import { hash } from 'node:crypto';
import type {
  Agent,
  AgentEvent,
  ModelParameters,
  AgentInput,
  RunResult,
  RunCacheOptions,
  RunContext,
} from './agent.ts';
import { type CacheStatus, cacheStatusHeader, parseCacheControl } from '../cache/cache-headers.ts';
import type { StoredResponse } from '../cache/cache-store.ts';
import type { ResponseCache, LookupResult } from '../cache/response-cache.ts';

export interface CachedAgentOptions {
  readonly agent: Agent;
  readonly responseCache: ResponseCache;
  readonly instructions: string;
  readonly parameters?: ModelParameters;
  /** What is asked at the moment: an answer of another model or endpoint is not this one's. */
  readonly model: () => string;
}

/** Changes when answers are made in another way by the same words. */
const PROMPT_FORMAT = 'agent-1';

/**
 * The same agent, which asks the model only for what it has not been asked by the same caller a
 * moment ago. A turn without a scope is never remembered.
 */
export function createCachedAgent(options: CachedAgentOptions): Agent {
  const { agent, responseCache: answers, instructions, parameters = {} } = options;
  const instructionsHash = hash('sha256', instructions, 'base64url');

  function open(question: AgentInput, { context, cache }: CachedRun): Promise<LookupResult> {
    const { message, earlier = [], maxOutputTokens, temperature } = question;
    return answers.lookup({
      parts: {
        callerId: cache.scope,
        model: options.model(),
        parameters: { maxOutputTokens, temperature, agent: { ...parameters } },
        promptVersion: `${PROMPT_FORMAT}:${instructionsHash}`,
        tools: [],
        messages: [...earlier.map(({ role, content }) => ({ role, content })), message],
      },
      traits: traitsOf(question),
      control: parseCacheControl(cache.control),
      signal: context.signal,
      telemetry: context.telemetry,
    });
  }

  async function answer(question: AgentInput, context: RunContext): Promise<RunResult> {
    const { cache } = context;
    if (cache === undefined) return agent.answer(question, context);
    const opened = await open(question, { context, cache });
    reportStatus(cache, opened.status);
    if (opened.kind === 'hit') return toRunResult(opened.response);
    const { fill } = opened;
    try {
      const reply = await agent.answer(question, context);
      reportStatus(cache, await fill.store(toCandidate(reply)));
      return reply;
    } catch (error) {
      if (!context.signal.aborted) fill.fail(error);
      throw error;
    } finally {
      fill.abandon();
    }
  }

  async function* stream(question: AgentInput, context: RunContext): AsyncGenerator<AgentEvent> {
    const { cache } = context;
    if (cache === undefined) return yield* agent.stream(question, context);
    const opened = await open(question, { context, cache });
    reportStatus(cache, opened.status);
    if (opened.kind === 'hit') return yield* replay(opened.response);
    const { fill } = opened;
    try {
      for await (const event of agent.stream(question, context)) {
        // Before the reader gets the end, so that whoever asks again then finds the answer.
        if (event.type === 'done') await fill.store(toCandidate(event.reply));
        yield event;
      }
    } catch (error) {
      if (!context.signal.aborted) fill.fail(error);
      throw error;
    } finally {
      fill.abandon();
    }
  }

  return { answer, stream };
}

function traitsOf({ earlier = [], temperature }: AgentInput) {
  return { temperature, hasHistory: earlier.some(isConversationMessage), hasPersonalData: false };
}

interface CachedRun {
  readonly context: RunContext;
  readonly cache: RunCacheOptions;
}

function isConversationMessage({ role }: { readonly role: string }): boolean {
  return role === 'user' || role === 'assistant';
}

function reportStatus({ onStatus }: RunCacheOptions, status: CacheStatus): void {
  const isFound = status.kind !== 'forward';
  onStatus?.({ header: cacheStatusHeader(status), isFound });
}

function toCandidate({ response, ...reply }: RunResult) {
  return { ...reply, text: response };
}

function toRunResult({ text, model, usage }: StoredResponse): RunResult {
  return { response: text, model, usage, finishReason: 'stop', cached: true, toolCalls: [] };
}

function* replay(answer: StoredResponse): Generator<AgentEvent> {
  for (const text of replayText(answer.text)) yield { type: 'delta', text };
  yield { type: 'done', reply: toRunResult(answer) };
}

/** About what a model sends at a time; a reader sees text grow, a proxy sees few frames. */
const PIECE_CHARS = 48;
/** Words with the white space after them; a word too long is cut between characters, not in one. */
const WORD = /\s*\S{1,48}\s*|\s+/gu;

/** A kept answer in the pieces of a stream. Joined they are the text again. */
export function* replayText(text: string): Generator<string, void, void> {
  let piece = '';
  for (const [word] of text.matchAll(WORD)) {
    if (piece !== '' && piece.length + word.length > PIECE_CHARS) {
      yield piece;
      piece = '';
    }
    piece += word;
  }
  if (piece !== '') yield piece;
}
