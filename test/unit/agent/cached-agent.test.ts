import { describe, expect, it } from 'vitest';
import type { AgentEvent, AgentInput, RunContext } from '../../../shared/agent/agent.ts';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { createCachedAgent } from '../../../shared/agent/cached-agent.ts';
import { createResponseCache } from '../../../shared/cache/response-cache.ts';
import { createMemoryStore } from '../../../shared/cache/cache-store.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createHandClock } from '../../support/limits.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import {
  answerOf,
  createScriptedModel,
  failingAfter,
  textsThenAnswer,
  type AnswerStep,
  type StreamStep,
  inputOf,
} from '../../support/scripted-model.ts';

interface Script {
  readonly answers?: readonly AnswerStep[];
  readonly streams?: readonly StreamStep[];
}

function setUp(script: Script, settings: { model?: () => string } = {}) {
  const clock = createHandClock();
  const model = createScriptedModel(script);
  const size = { maxEntries: 10, maxBytes: 100_000, maxEntryBytes: 10_000 };
  const cache = createMemoryStore({ ...size, ttlMs: 1_000, clock });
  const agent = createCachedAgent({
    agent: createAgent({ model, instructions: 'Be brief' }),
    responseCache: createResponseCache({ store: cache, ttlMs: 1_000, clock }),
    instructions: 'Be brief',
    model: settings.model ?? (() => 'm'),
  });
  return { agent, model };
}

function runOf(scope: string | undefined, signal = new AbortController().signal) {
  const statuses: string[] = [];
  const context: RunContext = {
    signal,
    deadlineAt: 1,
    traceparent: 't1',
    telemetry: createRecordedTelemetry(),
    cache: scope === undefined ? undefined : { scope, onStatus: (s) => statuses.push(s.header) },
  };
  return { context, statuses };
}

async function collect(events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const all: AgentEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const INPUT: AgentInput = inputOf('Why?');
const TWO = { answers: [async () => answerOf('one'), async () => answerOf('two')] };

describe('createCachedAgent', () => {
  it('does not serve an answer that passed other guardrails', async () => {
    const clock = createHandClock();
    const size = { maxEntries: 10, maxBytes: 100_000, maxEntryBytes: 10_000 };
    const store = createMemoryStore({ ...size, ttlMs: 1_000, clock });
    const responseCache = createResponseCache({ store, ttlMs: 1_000, clock });
    const model = createScriptedModel(TWO);
    const agentWith = (guardrails: string) =>
      createCachedAgent({
        agent: createAgent({ model, instructions: 'Be brief' }),
        responseCache,
        instructions: 'Be brief',
        guardrails,
        model: () => 'm',
      });

    await agentWith('observe').run(INPUT, runOf('a').context);
    const same = await agentWith('observe').run(INPUT, runOf('a').context);
    const other = await agentWith('block').run(INPUT, runOf('a').context);

    expect([same.cached, other.cached]).toEqual([true, false]);
  });

  it.each<readonly [string, AgentInput, AgentInput]>([
    ['another message', INPUT, inputOf('How?')],
    ['another bound', INPUT, { ...INPUT, maxOutputTokens: 5 }],
    ['instructions of the caller', INPUT, withInstructions()],
    ['a temperature above zero', { ...INPUT, temperature: 1 }, { ...INPUT, temperature: 1 }],
    ['a history', history(), history()],
  ])('calls the model again for %s', async (_what, first, second) => {
    const { agent, model } = setUp(TWO);

    await agent.run(first, runOf('alice').context);
    const result = await agent.run(second, runOf('alice').context);

    expect(result).toMatchObject({ text: 'two', cached: false });
    expect(model.calls).toHaveLength(2);
  });

  it('calls the model again for another caller, without a scope, and for another model', async () => {
    let name = 'm1';
    const answers = Array.from({ length: 5 }, () => async () => answerOf('x'));
    const { agent, model } = setUp({ answers }, { model: () => name });
    const run = (scope: string | undefined) => agent.run(INPUT, runOf(scope).context);

    await run('alice');
    await run('bob');
    await run(undefined);
    await run(undefined);
    name = 'm2';
    await run('alice');

    expect(model.calls).toHaveLength(5);
  });

  it('serves a repeated request from the cache, and reports it', async () => {
    const { agent, model } = setUp({ answers: [async () => answerOf('one')] });
    const [first, second] = [runOf('alice'), runOf('alice')];

    await agent.run(INPUT, first.context);
    const result = await agent.run(INPUT, second.context);

    expect(result).toMatchObject({ text: 'one', cached: true, finishReason: 'stop' });
    expect(first.statuses.at(-1)).toBe('serverless-agent; fwd=miss; stored');
    expect(second.statuses).toEqual(['serverless-agent; hit; ttl=1']);
    expect(model.calls).toHaveLength(1);
  });

  it('never stores an incomplete response', async () => {
    const { agent } = setUp({
      answers: [async () => ({ ...answerOf('half'), finishReason: 'length' }), ...TWO.answers],
    });
    const cut = runOf('alice');

    await agent.run(INPUT, cut.context);
    const result = await agent.run(INPUT, runOf('alice').context);

    expect(cut.statuses.at(-1)).toBe('serverless-agent; fwd=miss');
    expect(result.text).toBe('one');
  });

  it('gives a streamed response to the requests that waited for it', async () => {
    const { agent, model } = setUp({ streams: [() => textsThenAnswer(['Hello', ' you'])] });

    const [streamed, whole] = await Promise.all([
      collect(agent.stream(INPUT, runOf('alice').context)),
      agent.run(INPUT, runOf('alice').context),
    ]);

    expect(streamed.at(-1)).toMatchObject({ type: 'done', result: { cached: false } });
    expect(whole).toMatchObject({ text: 'Hello you', cached: true });
    expect(model.calls).toHaveLength(1);
  });

  it('lets another request make the call when a stream fails or its reader stops', async () => {
    const cut = new ServiceError('upstream_interrupted', 'cut');
    const streams: StreamStep[] = [
      () => failingAfter(['Hel'], cut),
      () => textsThenAnswer(['first']),
      () => textsThenAnswer(['second']),
    ];
    const { agent, model } = setUp({ streams });

    await expect(collect(agent.stream(INPUT, runOf('alice').context))).rejects.toThrow('cut');
    const left = agent.stream(INPUT, runOf('alice').context)[Symbol.asyncIterator]();
    await left.next();
    const waiting = collect(agent.stream(INPUT, runOf('alice').context));
    await left.return?.();

    expect((await waiting).at(-1)).toMatchObject({ type: 'done', result: { text: 'second' } });
    expect(model.calls).toHaveLength(3);
  });
});

function withInstructions(): AgentInput {
  return { messages: [{ role: 'system', content: 'Rhyme' }, ...INPUT.messages] };
}

function history(): AgentInput {
  const earlier: AgentInput['messages'] = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
  ];
  return { messages: [...earlier, ...INPUT.messages] };
}
