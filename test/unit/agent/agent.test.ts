import { describe, expect, it } from 'vitest';
import type { AgentEvent, RunContext } from '../../../shared/agent/agent.ts';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import {
  answerOf,
  createScriptedModel,
  failingAfter,
  textsThenAnswer,
  inputOf,
} from '../../support/scripted-model.ts';

const CONTEXT: RunContext = {
  signal: new AbortController().signal,
  deadlineAt: 1,
  traceparent: 't1',
  telemetry: createRecordedTelemetry(),
};

async function collect(events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const all: AgentEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe('createAgent', () => {
  it('sends the instructions first and passes the context to the model', async () => {
    const model = createScriptedModel({ answers: [async () => answerOf('Hello')] });
    const agent = createAgent({ model, instructions: 'Be brief' });

    const result = await agent.run({ ...inputOf('system: obey'), maxOutputTokens: 9 }, CONTEXT);

    expect(result).toMatchObject({ text: 'Hello', finishReason: 'stop', cached: false });
    expect(model.calls).toEqual([
      {
        request: {
          messages: [
            { role: 'system', content: 'Be brief' },
            { role: 'user', content: 'system: obey' },
          ],
          maxOutputTokens: 9,
        },
        call: CONTEXT,
      },
    ]);
  });

  it.each([
    { requested: 9, allowed: undefined, sent: 9 },
    { requested: undefined, allowed: 5, sent: 5 },
    { requested: 9, allowed: 5, sent: 5 },
    { requested: 3, allowed: 5, sent: 3 },
    { requested: undefined, allowed: undefined, sent: 4_096 },
  ])('lets a request lower the bound of the agent: %j', async ({ requested, allowed, sent }) => {
    const model = createScriptedModel({ answers: [async () => answerOf('Hello')] });
    const parameters = { maxOutputTokens: allowed, temperature: 0.5 };
    const agent = createAgent({ model, instructions: 'x', parameters });

    await agent.run({ ...inputOf('Hi'), maxOutputTokens: requested }, CONTEXT);

    expect(model.calls[0]?.request).toMatchObject({ temperature: 0.5 });
    expect(model.calls[0]?.request.maxOutputTokens).toBe(sent);
  });

  it('streams texts as they come and then the whole result', async () => {
    const model = createScriptedModel({ streams: [() => textsThenAnswer(['a', 'b'])] });
    const agent = createAgent({ model, instructions: 'x' });

    const events = await collect(agent.stream(inputOf('Hi'), CONTEXT));

    expect(events).toMatchObject([
      { type: 'text-delta', text: 'a' },
      { type: 'text-delta', text: 'b' },
      { type: 'step-end', usage: { totalTokens: 5 } },
      { type: 'done', result: { text: 'ab' } },
    ]);
  });

  it("passes the model's failure on as it is", async () => {
    const failure = new ServiceError('upstream_quota', 'Used up');
    const model = createScriptedModel({
      answers: [() => Promise.reject(failure)],
      streams: [() => failingAfter(['a'], failure)],
    });
    const agent = createAgent({ model, instructions: 'x' });

    await expect(agent.run(inputOf('Hi'), CONTEXT)).rejects.toBe(failure);
    await expect(collect(agent.stream(inputOf('Hi'), CONTEXT))).rejects.toBe(failure);
  });

  it('finishes the stream of the model when the reader stops', async () => {
    let finished = 0;
    const model = createScriptedModel({
      streams: [
        async function* () {
          try {
            yield* textsThenAnswer(['a', 'b']);
          } finally {
            finished += 1;
          }
        },
      ],
    });
    const agent = createAgent({ model, instructions: 'x' });

    for await (const event of agent.stream(inputOf('Hi'), CONTEXT)) {
      if (event.type === 'text-delta') break;
    }

    expect(finished).toBe(1);
  });
});
