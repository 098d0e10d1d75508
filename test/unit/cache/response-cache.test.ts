import { describe, expect, it } from 'vitest';
import { createResponseCache } from '../../../shared/cache/response-cache.ts';
import type { CandidateResponse } from '../../../shared/cache/cache-headers.ts';
import { createMemoryStore } from '../../../shared/cache/cache-store.ts';
import { answer, ask, candidate, toMake, type AskOptions } from '../../support/cached-answers.ts';
import { createHandClock } from '../../support/limits.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';

const TTL_MS = 300_000;
const notStored = { kind: 'forward', reason: 'miss', stored: false };

function createEnvironment() {
  const clock = createHandClock();
  const memory = createMemoryStore({
    maxEntries: 1_000,
    maxBytes: 1_000_000,
    maxEntryBytes: 100_000,
    ttlMs: TTL_MS,
    clock,
  });
  const cache = createResponseCache({ store: memory, ttlMs: TTL_MS, clock });
  const answerTo = (options: AskOptions, made: Partial<CandidateResponse> = {}) =>
    answer(cache, { question: ask(options), make: async () => candidate(made) });
  return { cache, clock, memory, answerTo };
}

describe('the response cache', () => {
  it.each<readonly [string, Partial<CandidateResponse>]>([
    ['cut off at the token limit', { finishReason: 'length' }],
    ['asking for tools', { finishReason: 'tool_calls' }],
    ['filtered by the model', { finishReason: 'content_filter' }],
    ['empty', { text: '' }],
    ['made with tools', { toolCalls: [{ name: 'clock' }] }],
    ['changed by a guardrail', { isFiltered: true }],
  ])('R7 never stores a response that is %s', async (_name, made) => {
    const { memory, answerTo } = createEnvironment();

    const { status } = await answerTo({}, made);

    expect(status).toEqual({ kind: 'forward', reason: 'miss', stored: false });
    expect(memory.size().entries).toBe(0);
  });

  it.each<readonly [string, AskOptions, string]>([
    ['asks for variety', { traits: { temperature: 0.7 } }, 'bypass'],
    ['continues a conversation', { traits: { hasHistory: true } }, 'bypass'],
    ['holds personal data', { traits: { hasPersonalData: true } }, 'bypass'],
    ['forbids it', { cacheControl: 'no-store' }, 'request'],
  ])('R7 neither stores nor serves a response when the request %s', async (_name, how, reason) => {
    const { memory, answerTo } = createEnvironment();
    await answerTo(how);
    const keptFromIt = memory.size().entries;
    await answerTo({});

    const { status } = await answerTo(how, { text: 'another' });

    expect(keptFromIt).toBe(0);
    expect(status).toEqual({ kind: 'forward', reason, stored: false });
  });

  it('R7 never stores the result of an abandoned or failed call', async () => {
    const { cache, memory } = createEnvironment();
    const failed = toMake(await cache.lookup(ask({ question: 'one?' })));
    const left = toMake(await cache.lookup(ask({ question: 'two?' })));

    failed.fill.fail(new Error('upstream'));
    left.fill.abandon();
    const statuses = [await failed.fill.store(candidate()), await left.fill.store(candidate())];

    expect(statuses).toEqual([notStored, notStored]);
    expect(memory.size().entries).toBe(0);
  });

  it('stores the response to a request with temperature 0', async () => {
    const { answerTo } = createEnvironment();
    await answerTo({ traits: { temperature: 0 } });

    const { status } = await answerTo({ traits: { temperature: 0 } });

    expect(status).toEqual({ kind: 'hit', ttlSeconds: 300 });
  });

  it('calls the model for no-cache and stores that response', async () => {
    const { answerTo } = createEnvironment();
    await answerTo({}, { text: 'old' });

    const fresh = await answerTo({ cacheControl: 'no-cache' }, { text: 'new' });
    const next = await answerTo({});

    expect(fresh).toEqual({
      text: 'new',
      status: { kind: 'forward', reason: 'request', stored: true },
    });
    expect(next.text).toBe('new');
  });

  it('serves a response until it expires', async () => {
    const { clock, answerTo } = createEnvironment();
    await answerTo({}, { text: 'old' });

    clock.advance(TTL_MS - 1_500);
    const late = await answerTo({});
    clock.advance(1_500);
    const over = await answerTo({}, { text: 'new' });

    expect(late).toEqual({ text: 'old', status: { kind: 'hit', ttlSeconds: 1 } });
    expect(over).toEqual({
      text: 'new',
      status: { kind: 'forward', reason: 'miss', stored: true },
    });
  });

  it('calls the model when the stored response is older than the caller accepts', async () => {
    const { clock, answerTo } = createEnvironment();
    await answerTo({}, { text: 'old' });
    clock.advance(30_000);

    const accepted = await answerTo({ cacheControl: 'max-age=30' });
    const refused = await answerTo({ cacheControl: 'max-age=29' }, { text: 'new' });

    expect(accepted.text).toBe('old');
    expect(refused).toEqual({
      text: 'new',
      status: { kind: 'forward', reason: 'stale', stored: true },
    });
  });

  it('does not trust a clock that was set back', async () => {
    const { clock, answerTo } = createEnvironment();
    await answerTo({});
    clock.advance(-3_600_000);

    const { status } = await answerTo({});

    expect(status).toMatchObject({ kind: 'forward', reason: 'miss' });
  });

  it('counts the saved tokens', async () => {
    const { cache, answerTo } = createEnvironment();
    for (let times = 0; times < 4; times += 1) await answerTo({});
    await answerTo({ cacheControl: 'no-store' });

    expect(cache.counts()).toEqual({
      hits: 3,
      collapsed: 0,
      misses: 1,
      bypassed: 1,
      stored: 1,
      savedInputTokens: 30,
      savedOutputTokens: 15,
    });
  });

  it('logs one line for each decision at debug level, without content', async () => {
    const { answerTo } = createEnvironment();
    const telemetry = createRecordedTelemetry();
    const question = 'a private question';

    await answerTo({ question, telemetry }, { text: 'a private answer' });
    await answerTo({ question, telemetry });
    await answerTo({ question, telemetry, cacheControl: 'no-store' });

    expect(telemetry.lines).toEqual([
      { level: 'debug', message: 'cache lookup', fields: { outcome: 'miss' } },
      { level: 'debug', message: 'cache fill', fields: { stored: true } },
      { level: 'debug', message: 'cache lookup', fields: { outcome: 'hit', ttlSeconds: 300 } },
      { level: 'debug', message: 'cache lookup', fields: { outcome: 'request' } },
      { level: 'debug', message: 'cache fill', fields: { stored: false } },
    ]);
    expect(JSON.stringify(telemetry.lines)).not.toContain('private');
  });
});
