import { describe, expect, it } from 'vitest';
import type { Agent, AgentInput } from '../../../shared/agent/agent.ts';
import { systemClock } from '../../../shared/clock.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createRunConversations } from '../../../shared/http/background-conversations.ts';
import { chatApi } from '../../../shared/protocols/chat-api.ts';
import type { RunService } from '../../../shared/runs/run-service.ts';
import { createBackgroundSessions } from '../../../shared/sessions/background-sessions.ts';
import { readSessionItems, visibleMessages } from '../../../shared/sessions/conversation-log.ts';
import { createConversationStore } from '../../../shared/sessions/conversation-store.ts';
import { createMemoryContainer } from '../../support/batch/memory-container.ts';
import { createToolAgent, toolNamed } from '../../support/agent/scripted-tools.ts';
import { makeRuns, recordOf } from '../../support/runs/make-runs.ts';
import { answerOf, callsOf } from '../../support/scripted-model.ts';

const PLAIN = { seal: (text: string) => text, open: (text: string) => text };
const OWNER = 'owner';

/** A session and the runs of its owner, in memory. */
async function setUp(agent: Agent) {
  const time = { passedMs: 0 };
  const runs: { service?: RunService } = {};
  const store = createConversationStore({
    container: createMemoryContainer(),
    encryption: PLAIN,
    retentionDays: 30,
    clock: { now: () => systemClock.now() + time.passedMs },
    endActiveRun: async ({ owner }, id) =>
      (await runs.service?.endConversation({ owner, id })) ?? 'active',
  });
  const options = {
    store,
    clock: systemClock,
    maxTokens: 1_000,
    estimate: () => 10,
    isSummarized: false,
  };
  const sessions = createBackgroundSessions(options);
  const conversations = await createRunConversations({
    conversations: async () => store,
    sessions: async () => sessions,
  });
  const failures = { left: 0 };
  const test = makeRuns({
    agent,
    conversations: {
      ...conversations,
      async end(record, ended) {
        failures.left -= 1;
        if (failures.left >= 0) throw new ServiceError('storage_unavailable', 'killed');
        await conversations.end(record, ended);
      },
    },
  });
  runs.service = test.runs.service;
  const { id } = await store.create(OWNER, { kind: 'sess' });
  return {
    ...test,
    store,
    id,
    failures,
    time,
    /** Starts a run of the session, as the chat route does. */
    async start(message: string) {
      const run = recordOf('x', { protocol: chatApi.id, request: { message }, isStreamed: true });
      const record = { ...run, conversationId: id };
      const resumed = await sessions.resume(OWNER, { id, run: record.id, message });
      const started = { ...record, history: resumed.history };
      await test.runs.service.start(started, () => resumed.begin());
      await resumed.release();
      return started;
    },
    async history() {
      const found = await store.find(OWNER, id);
      return visibleMessages(readSessionItems(found?.items ?? [])).map(
        ({ message }) => message.content,
      );
    },
  };
}

function answering(): { readonly agent: Agent; readonly inputs: AgentInput[] } {
  const inputs: AgentInput[] = [];
  const { agent } = createToolAgent({
    responses: [callsOf(['echo', { word: 'a' }]), answerOf('Done'), answerOf('Again')],
    tools: [toolNamed('echo')],
  });
  return {
    inputs,
    agent: {
      run: (input, context) => agent.run(input, context),
      stream(input, context) {
        inputs.push(input);
        return agent.stream(input, context);
      },
    },
  };
}

/** An agent that says a word and then waits for the end of its run. */
const WAITING: Agent = {
  run: () => Promise.reject(new Error('not streamed')),
  async *stream(_input, { signal }) {
    yield { type: 'text-delta', text: 'Hel' };
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
    });
  },
};

describe('the session of a run in the background', () => {
  it('has no other run until the end, and then the message, the tools and the answer once', async () => {
    const { agent, inputs } = answering();
    const test = await setUp(agent);
    await test.start('Hi');
    const message = test.sent[0]?.message;

    const meanwhile = await test.store.open(OWNER, test.id);
    const removal = test.store.remove(OWNER, test.id);
    await expect(removal).rejects.toMatchObject({ code: 'session_busy' });
    await test.deliverAll();
    await test.runs.process(message);

    expect(meanwhile).toBe('busy');
    expect(await test.history()).toEqual(['Hi', null, 'echo: a', 'Done']);
    await test.start('And?');
    await test.deliverAll();
    expect(inputs.at(-1)?.messages.map(({ content }) => content)).toEqual([
      'Hi',
      null,
      'echo: a',
      'Done',
      'And?',
    ]);
    expect((await test.history()).slice(-2)).toEqual(['And?', 'Again']);
  });

  it('is freed by the next request if the process ends after the end of the run is stored', async () => {
    const test = await setUp(answering().agent);
    await test.start('Hi');
    test.failures.left = 1;
    await expect(test.deliverAll()).rejects.toThrow('killed');

    const opened = await test.store.open(OWNER, test.id);

    expect(opened).not.toBe('busy');
    expect((await test.history()).at(-1)).toBe('Done');
  });

  it('is free when a client reads the end of the run', async () => {
    const test = await setUp(answering().agent);
    const record = await test.start('Hi');
    test.failures.left = 1;
    await expect(test.deliverAll()).rejects.toThrow('killed');

    await Array.fromAsync(test.runs.service.watch(record, new AbortController().signal));

    expect((await test.store.find(OWNER, test.id))?.activeRun).toBeUndefined();
    expect((await test.history()).at(-1)).toBe('Done');
  });

  it('is free after a cancellation, and has no answer', async () => {
    const test = await setUp(WAITING);
    const record = await test.start('Hi');
    const delivery = test.deliver();
    const shown = async () => (await test.runs.service.history(record)).events.length;
    await expect.poll(shown).toBeGreaterThan(0);

    await test.runs.service.cancel(record);
    await delivery;

    expect(await test.history()).toEqual(['Hi']);
    const items = readSessionItems((await test.store.find(OWNER, test.id))?.items ?? []);
    expect(items.slice(1)).toMatchObject([
      { type: 'message', isPartial: true, message: { content: 'Hel' } },
      { type: 'end', status: 'partial', code: 'cancelled' },
    ]);
    await expect(test.start('And?')).resolves.toBeDefined();
  });

  it('is free after the message of the run was poison, and forgets the message', async () => {
    const test = await setUp(WAITING);
    await test.start('Hi');

    for (let next = test.sent.shift(); next !== undefined; next = test.sent.shift()) {
      await test.runs.handlePoison(next.message);
    }

    expect(await test.history()).toEqual([]);
    await expect(test.start('And?')).resolves.toBeDefined();
  });

  it('is free a minute later if its run was never stored', async () => {
    const test = await setUp(WAITING);
    const opened = await test.store.open(OWNER, test.id);
    if (opened === undefined || opened === 'busy') throw new Error('Cannot open it');
    await opened.beginRun({ run: 'run_x', items: [] });
    await opened.release();

    const soon = await test.store.open(OWNER, test.id);
    test.time.passedMs = 61_000;

    expect(soon).toBe('busy');
    expect(await test.store.open(OWNER, test.id)).not.toBe('busy');
  });

  it('reads half of a history that is too long for the model', async () => {
    const lengths: number[] = [];
    const test = await setUp({
      ...WAITING,
      async *stream(input) {
        lengths.push(input.messages.length);
        if (input.messages.length > 4) throw new ServiceError('context_too_long', 'too long');
        const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
        yield {
          type: 'done',
          result: {
            text: 'Yes',
            model: 'm',
            finishReason: 'stop',
            cached: false,
            usage,
            toolCalls: [],
          },
        };
      },
    });
    for (const message of ['1', '2', '3']) {
      await test.start(message);
      await test.deliverAll();
    }

    expect(lengths).toEqual([1, 3, 5, 3]);
    expect((await test.history()).length).toBe(6);
  });
});
