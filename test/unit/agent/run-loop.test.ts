import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { answerOf, callsOf, inputOf, never } from '../../support/scripted-model.ts';
import {
  collectEvents,
  createToolAgent,
  runContext,
  toolNamed,
  toolResults,
} from '../../support/agent/scripted-tools.ts';

const FINAL = answerOf('Done');
const TOOL_ERROR = { code: 'upstream_invalid', message: expect.stringContaining('steps') };

describe('a run with own tools', () => {
  it('gives the results back to the model until it answers', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['echo', { word: 'a' }]), callsOf(['echo', { word: 'b' }]), FINAL],
      tools: [toolNamed('echo')],
    });

    const result = await agent.run(inputOf('Hi'), runContext());

    expect(result).toMatchObject({ text: 'Done', finishReason: 'stop' });
    expect(result.usage).toEqual({ inputTokens: 9, outputTokens: 6, totalTokens: 15 });
    expect(result.toolCalls).toMatchObject([{ name: 'echo', status: 'ok' }, { name: 'echo' }]);
    expect(model.calls.at(-1)?.request.messages).toEqual([
      { role: 'system', content: 'x' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: null, toolCalls: callsOf(['echo', { word: 'a' }]).toolCalls },
      { role: 'tool', toolCallId: 'call_0_echo', content: 'echo: a' },
      { role: 'assistant', content: null, toolCalls: callsOf(['echo', { word: 'b' }]).toolCalls },
      { role: 'tool', toolCallId: 'call_0_echo', content: 'echo: b' },
    ]);
  });

  it('streams the text of all steps, the tools and the end of each step', async () => {
    const { agent } = createToolAgent({
      responses: [{ ...callsOf(['echo']), text: 'Wait.' }, FINAL],
      tools: [toolNamed('echo')],
    });

    const events = await collectEvents(agent.stream(inputOf('Hi'), runContext()));

    expect(events).toMatchObject([
      { type: 'text-delta', text: 'Wait.' },
      { type: 'step-end', usage: { totalTokens: 5 } },
      { type: 'tool-call', id: 'call_0_echo', name: 'echo' },
      { type: 'tool-result', id: 'call_0_echo', name: 'echo', status: 'ok' },
      { type: 'text-delta', text: '\n\nDone' },
      { type: 'step-end' },
      { type: 'done', result: { text: 'Wait.\n\nDone', usage: { totalTokens: 10 } } },
    ]);
  });

  it('runs the calls of one step in parallel and keeps their order for the model', async () => {
    const first = Promise.withResolvers<string>();
    const tools = [
      toolNamed('slow', { run: () => first.promise }),
      toolNamed('quick', {
        run() {
          first.resolve('slow is free');
          return 'quick is done';
        },
      }),
    ];
    const { agent, model } = createToolAgent({
      responses: [callsOf(['slow'], ['quick']), FINAL],
      tools,
    });

    await agent.run(inputOf('Hi'), runContext());

    const { messages } = model.calls[1]?.request ?? {};
    expect(toolResults(messages)).toEqual(['slow is free', 'quick is done']);
  });

  it('offers a batch item only tools that may be repeated', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['pay']), FINAL],
      tools: [toolNamed('look'), toolNamed('pay', { effect: 'once' })],
    });

    const result = await agent.run(inputOf('Hi'), runContext({ isBackground: true }));

    expect(model.calls[0]?.request.tools?.map(({ name }) => name)).toEqual(['look']);
    expect(result.toolCalls).toMatchObject([{ name: 'pay', status: 'failed' }]);
  });

  it('reports the usage of each step and reserves the later ones', async () => {
    const usages: number[] = [];
    const sizes: number[] = [];
    const { agent } = createToolAgent({
      responses: [callsOf(['echo']), FINAL],
      tools: [toolNamed('echo')],
    });

    await agent.run(
      inputOf('Hi'),
      runContext({
        onStepEnd: ({ totalTokens }) => void usages.push(totalTokens),
        reserveStep: async ({ texts }) => void sizes.push(texts.length),
      }),
    );

    expect(usages).toEqual([5, 5]);
    expect(sizes).toEqual([5]);
  });

  it('ends with the error of a refused reservation, before the model is called', async () => {
    const refusal = new ServiceError('rate_limited', 'Too many tokens');
    const { agent, model } = createToolAgent({
      responses: [callsOf(['echo'])],
      tools: [toolNamed('echo')],
    });
    const context = runContext({ reserveStep: () => Promise.reject(refusal) });

    await expect(agent.run(inputOf('Hi'), context)).rejects.toBe(refusal);

    expect(model.calls).toHaveLength(1);
  });

  it('ends at once when the client disconnects while a tool runs', async () => {
    const client = new AbortController();
    const { agent } = createToolAgent({
      responses: [callsOf(['hang'])],
      tools: [
        toolNamed('hang', {
          run() {
            client.abort(new Error('disconnected'));
            return never();
          },
        }),
      ],
    });

    const run = agent.run(inputOf('Hi'), runContext({ signal: client.signal }));

    await expect(run).rejects.toThrow('disconnected');
  });
});

describe('the bounds of a run', () => {
  it('offers no tool in the last step, so that the model answers', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['echo']), callsOf(['echo']), FINAL],
      tools: [toolNamed('echo')],
      limits: { maxSteps: 3 },
    });

    const result = await agent.run(inputOf('Hi'), runContext());

    expect(result.text).toBe('Done');
    expect(model.calls.map(({ request }) => request.toolChoice)).toEqual([
      undefined,
      undefined,
      'none',
    ]);
  });

  it('is an error if the model calls a tool in the last step all the same', async () => {
    const { agent, model } = createToolAgent({
      responses: Array.from({ length: 9 }, () => callsOf(['echo'])),
      tools: [toolNamed('echo')],
    });

    await expect(agent.run(inputOf('Hi'), runContext())).rejects.toMatchObject(TOOL_ERROR);

    expect(model.calls).toHaveLength(8);
  });

  it('stops at the number of tool calls, also within one step', async () => {
    let runs = 0;
    const { agent, model } = createToolAgent({
      responses: [callsOf(['count'], ['count'], ['count']), FINAL],
      tools: [toolNamed('count', { run: () => String((runs += 1)) })],
      limits: { maxToolCalls: 2 },
    });

    await agent.run(inputOf('Hi'), runContext());

    const last = model.calls.at(-1)?.request;
    expect(runs).toBe(2);
    expect(toolResults(last?.messages)).toEqual(['1', '2', expect.stringContaining('limit of 2')]);
    expect(last?.toolChoice).toBe('none');
  });

  it('makes the step the last one that uses up the token budget', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['echo']), FINAL],
      tools: [toolNamed('echo')],
      limits: { maxTokens: 14 },
    });

    await agent.run(inputOf('Hi'), runContext());

    expect(model.calls[1]?.request.toolChoice).toBe('none');
  });

  it('is an error if nothing of the token budget is left', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['echo'])],
      tools: [toolNamed('echo')],
      limits: { maxTokens: 5 },
    });

    await expect(agent.run(inputOf('Hi'), runContext())).rejects.toMatchObject({
      code: 'context_too_long',
    });

    expect(model.calls).toHaveLength(1);
  });
});
