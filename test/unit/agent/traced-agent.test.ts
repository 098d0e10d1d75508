import { describe, expect, it } from 'vitest';
import type { RunContext } from '../../../shared/agent/agent.ts';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { createTracedAgent } from '../../../shared/agent/traced-agent.ts';
import { ServiceError } from '../../../shared/errors.ts';
import type { Model } from '../../../shared/model/model.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';
import { inputOf } from '../../support/scripted-model.ts';

const ANSWER = {
  text: 'ab',
  toolCalls: [],
  finishReason: 'stop',
  usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
  model: 'm',
} as const;
const PARENT = '00-11112222333344445555666677778888-1234123412341234-01';

function setUp(model: Partial<Model> = {}) {
  const metered = createMeteredTelemetry();
  const controller = new AbortController();
  const context: RunContext = {
    signal: controller.signal,
    deadlineAt: Date.now() + 10_000,
    traceparent: PARENT,
    telemetry: metered.telemetry,
  };
  const parents: (string | undefined)[] = [];
  const whole: Model = {
    async complete(_request, { traceparent }) {
      parents.push(traceparent);
      return ANSWER;
    },
    async *stream() {
      yield { type: 'text-delta', text: 'ab' };
      yield { type: 'done', response: ANSWER };
    },
    ...model,
  };
  const agent = createTracedAgent(createAgent({ model: whole, instructions: 'Be brief' }), {
    name: 'me',
  });
  return { ...metered, agent, parents, context, controller };
}

describe('createTracedAgent', () => {
  it('makes a run a span that is the parent of the model call', async () => {
    const { agent, parents, context, spans } = setUp();

    await agent.run(inputOf('Hello'), context);

    expect(spans).toEqual([
      expect.objectContaining({ name: 'invoke_agent me', parent: PARENT, code: undefined }),
    ]);
    expect(parents).toEqual([spans[0]?.traceparent]);
    expect(spans[0]?.attributes).toMatchObject({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.usage.output_tokens': 2,
    });
  });

  it('ends a run with the code of its failure', async () => {
    const { agent, context, spans } = setUp({
      complete: () => Promise.reject(new ServiceError('overloaded', 'Too much')),
    });

    await expect(agent.run(inputOf('Hello'), context)).rejects.toThrow('Too much');

    expect(spans[0]).toMatchObject({ code: 'overloaded' });
  });

  it('ends the span of a stream when it is complete, and when its reader stops', async () => {
    const { agent, context, spans } = setUp();

    for await (const event of agent.stream(inputOf('Hello'), context)) {
      expect(event).toBeDefined();
    }
    for await (const event of agent.stream(inputOf('Hello'), context)) {
      expect(event.type).toBe('text-delta');
      break;
    }

    expect(spans.map(({ code }) => code)).toEqual([undefined, 'aborted']);
    expect(spans.every(({ ended }) => ended > 0)).toBe(true);
  });

  it('ends the span of a stream without a reader at the deadline', async () => {
    const { agent, context, controller, spans } = setUp();
    await agent.stream(inputOf('Hello'), context)[Symbol.asyncIterator]().next();

    controller.abort();

    expect(spans[0]).toMatchObject({ code: 'aborted', ended: 1 });
  });
});
