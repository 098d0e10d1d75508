import { describe, expect, it } from 'vitest';
import { effectsOf, type StepJournal } from '../../../shared/agent/step-journal.ts';
import type { TokenUsage } from '../../../shared/model/model.ts';
import { createMemoryJournal } from '../../support/agent/memory-journal.ts';
import {
  createToolAgent,
  runContext,
  toolNamed,
  toolResults,
} from '../../support/agent/scripted-tools.ts';
import { answerOf, callsOf, inputOf, never } from '../../support/scripted-model.ts';

const DONE = answerOf('Done');

function lost(): Promise<never> {
  return Promise.reject(new Error('The process ended'));
}

/** Two tools that count their calls; the first attempt never ends in a tool of `hanging`. */
function createCounters(hanging: readonly string[] = []) {
  const calls: string[] = [];
  const count = (name: string, effect: 'none' | 'once') =>
    toolNamed(name, {
      effect,
      run: (word) => {
        const isFirst = !calls.includes(name);
        calls.push(name);
        return isFirst && hanging.includes(name) ? never() : `${name} of ${word}`;
      },
    });
  return { calls, tools: [count('pay', 'once'), count('look', 'none')] };
}

function backgroundContext(journal: StepJournal, signal = new AbortController().signal) {
  return runContext({ journal, signal, isBackground: true });
}

describe('a run that goes on after its finished steps', () => {
  it('repeats neither a model call nor a tool with an effect', async () => {
    const journal = createMemoryJournal();
    const { calls, tools } = createCounters();
    const first = createToolAgent({ responses: [callsOf(['pay'], ['look']), lost], tools });
    const second = createToolAgent({ responses: [DONE], tools });
    const used: TokenUsage[] = [];
    await expect(
      first.agent.run(inputOf('Hi'), backgroundContext(journal.attempt())),
    ).rejects.toThrow();

    const result = await second.agent.run(inputOf('Hi'), {
      ...backgroundContext(journal.attempt()),
      onStepEnd: (usage) => used.push(usage),
    });

    expect(calls).toEqual(['pay', 'look']);
    expect(toolResults(second.model.calls[0]?.request.messages)).toEqual([
      'pay of nothing',
      'look of nothing',
    ]);
    expect(result.toolCalls.map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(result.usage.totalTokens).toBe(10);
    expect(used.map(({ totalTokens }) => totalTokens)).toEqual([5]);
  });

  it('reports a tool with an effect that was begun, and repeats one without', async () => {
    const journal = createMemoryJournal();
    const { calls, tools } = createCounters(['pay', 'look']);
    const process = new AbortController();
    const first = createToolAgent({ responses: [callsOf(['pay'], ['look'])], tools });
    const second = createToolAgent({ responses: [DONE], tools });
    const running = first.agent.run(
      inputOf('Hi'),
      backgroundContext(journal.attempt(), process.signal),
    );
    const interrupted = expect(running).rejects.toThrow('The process ended');
    await expect.poll(() => calls).toEqual(['pay', 'look']);
    process.abort(new Error('The process ended'));
    await interrupted;

    const result = await second.agent.run(inputOf('Hi'), backgroundContext(journal.attempt()));

    expect(calls).toEqual(['pay', 'look', 'look']);
    expect(toolResults(second.model.calls[0]?.request.messages)).toEqual([
      'The call of "pay" was interrupted. It may have taken effect, so it was not repeated. Do not call it again.',
      'look of nothing',
    ]);
    expect(result.toolCalls.map(({ name, status }) => [name, status])).toEqual([
      ['pay', 'interrupted'],
      ['look', 'ok'],
    ]);
    expect(effectsOf(journal.steps)).toEqual([{ tool: 'pay', status: 'interrupted' }]);
  });

  it('does not repeat the interrupted call for a model that insists', async () => {
    const journal = createMemoryJournal();
    const { calls, tools } = createCounters();
    const pay = callsOf(['pay', '{"word": "five"}']);
    await journal.attempt().addStep(0, { response: pay, once: [0], isLast: false });
    const { agent, model } = createToolAgent({
      responses: [callsOf(['pay', '{ "word":"five" }'], ['pay', '{"word":"six"}']), DONE],
      tools,
    });

    await agent.run(inputOf('Hi'), backgroundContext(journal.attempt()));

    const [, insisted, other] = toolResults(model.calls.at(-1)?.request.messages);
    expect(calls).toEqual(['pay']);
    expect(insisted).toContain('was interrupted');
    expect(other).toBe('pay of six');
  });

  it('does not pay again for an answer that has to be corrected', async () => {
    const journal = createMemoryJournal();
    const input = {
      ...inputOf('Hi'),
      responseFormat: {
        type: 'json_schema' as const,
        name: 'x',
        schema: { type: 'object', required: ['a'] },
      },
    };
    const first = createToolAgent({ responses: [answerOf('{}'), lost] });
    const second = createToolAgent({ responses: [answerOf('{"a":1}')] });
    await expect(first.agent.run(input, backgroundContext(journal.attempt()))).rejects.toThrow();

    const result = await second.agent.run(input, backgroundContext(journal.attempt()));

    expect(result.text).toBe('{"a":1}');
    expect(second.model.calls).toHaveLength(1);
  });

  it('starts no tool whose step cannot be recorded', async () => {
    const { calls, tools } = createCounters();
    const { agent } = createToolAgent({ responses: [callsOf(['pay'])], tools });
    const journal = { ...createMemoryJournal().attempt(), addStep: lost };

    const running = agent.run(inputOf('Hi'), backgroundContext(journal));

    await expect(running).rejects.toThrow('The process ended');
    expect(calls).toEqual([]);
  });
});

describe('a call with an effect', () => {
  it('may end after the run was stopped, and its outcome is recorded', async () => {
    const journal = createMemoryJournal();
    const process = new AbortController();
    const pay = toolNamed('pay', {
      effect: 'once',
      async run() {
        process.abort(new Error('The process stops'));
        await new Promise((resolve) => setImmediate(resolve));
        return 'paid';
      },
    });
    const look = toolNamed('look', { run: () => never() });
    const { agent } = createToolAgent({
      responses: [callsOf(['look'], ['pay'])],
      tools: [pay, look],
    });

    const running = agent.run(inputOf('Hi'), {
      ...backgroundContext(journal.attempt(), process.signal),
      effectSignal: new AbortController().signal,
    });

    await expect(running).rejects.toThrow('The process stops');
    expect(effectsOf(journal.steps)).toEqual([{ tool: 'pay', status: 'ok' }]);
  });
});
