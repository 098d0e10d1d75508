import type {
  ResponseCache,
  CacheLookup,
  LookupResult,
} from '../../shared/cache/response-cache.ts';
import {
  type CacheStatus,
  type CandidateResponse,
  parseCacheControl,
  type RequestTraits,
} from '../../shared/cache/cache-headers.ts';
import type { CacheEntry, CacheKeyInput } from '../../shared/cache/cache-store.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';

export interface AskOptions {
  readonly callerId?: string;
  readonly question?: string;
  readonly traits?: Partial<RequestTraits>;
  readonly cacheControl?: string;
  readonly signal?: AbortSignal;
  readonly telemetry?: Telemetry;
}

/** A question as the agent puts it to the cache. */
export function ask(options: AskOptions = {}): CacheLookup {
  const { callerId = 'alice', question = 'why?', signal = new AbortController().signal } = options;
  return {
    parts: keyParts({ callerId, messages: [{ role: 'user', content: question }] }),
    traits: { hasHistory: false, hasPersonalData: false, ...options.traits },
    control: parseCacheControl(options.cacheControl),
    signal,
    telemetry: options.telemetry ?? noopTelemetry,
  };
}

export function keyParts(parts: Partial<CacheKeyInput> = {}): CacheKeyInput {
  return {
    callerId: 'alice',
    model: 'primary/gpt',
    parameters: {},
    promptVersion: '1',
    tools: [],
    messages: [{ role: 'user', content: 'why?' }],
    ...parts,
  };
}

export function candidate(answer: Partial<CandidateResponse> = {}): CandidateResponse {
  return {
    text: 'because',
    model: 'gpt',
    finishReason: 'stop',
    usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15 },
    toolCalls: [],
    ...answer,
  };
}

export function entryOf(
  text: string,
  { storedAt, ttlMs }: { storedAt: number; ttlMs: number },
): CacheEntry {
  const { model, usage } = candidate();
  return { response: { text, model, usage }, storedAt, expiresAt: storedAt + ttlMs };
}

export interface Answered {
  readonly text: string;
  readonly status: CacheStatus;
}

/** Asks, and makes the answer where there is none, as the agent does. */
export async function answer(
  cache: ResponseCache,
  { question, make }: { question: CacheLookup; make: () => Promise<CandidateResponse> },
): Promise<Answered> {
  const opened = await cache.lookup(question);
  if (opened.kind === 'hit') return { text: opened.response.text, status: opened.status };
  try {
    const made = await make();
    return { text: made.text, status: await opened.fill.store(made) };
  } catch (error) {
    opened.fill.fail(error);
    throw error;
  }
}

/** The answer that has to be made; a test that finds one instead is wrong. */
export function toMake(opened: LookupResult): Extract<LookupResult, { kind: 'miss' }> {
  if (opened.kind !== 'miss') throw new Error('the answer was found');
  return opened;
}
