import { describe, expect, it } from 'vitest';
import { answerOf, callsOf, inputOf } from '../../support/scripted-model.ts';
import {
  clientTool,
  createToolAgent,
  runContext,
  toolNamed,
  toolResults,
} from '../../support/agent/scripted-tools.ts';

const FINAL = answerOf('Done');

describe("a run with the client's tools", () => {
  const input = { ...inputOf('Hi'), tools: [clientTool('theirs')] };

  it('ends with the calls of the client, as the model wrote them', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['theirs', '{"a": 1'])],
      tools: [toolNamed('own')],
    });

    const result = await agent.run(input, runContext());

    const offered = model.calls[0]?.request.tools?.map(({ name }) => name);
    expect(offered).toEqual(['own', 'theirs']);
    expect(result).toMatchObject({ text: '', finishReason: 'tool_calls', toolCalls: [] });
    expect(result.clientToolCalls).toEqual([
      { id: 'call_0_theirs', name: 'theirs', arguments: '{"a": 1' },
    ]);
  });

  it('runs own tools of a mixed step only if they may be repeated', async () => {
    const ran: string[] = [];
    const record = (name: string) => ({ run: () => String(ran.push(name)) });
    const { agent, model } = createToolAgent({
      responses: [callsOf(['look'], ['theirs'], ['pay'], ['unknown'])],
      tools: [
        toolNamed('look', record('look')),
        toolNamed('pay', { effect: 'once', ...record('pay') }),
      ],
    });

    const result = await agent.run(input, runContext());

    expect(ran).toEqual(['look']);
    expect(result.toolCalls).toMatchObject([{ name: 'look', status: 'ok' }]);
    expect(result.clientToolCalls).toMatchObject([{ name: 'theirs' }]);
    expect(model.calls).toHaveLength(1);
  });

  it("offers them no more after a tool with effect 'once' ran", async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['pay']), callsOf(['theirs']), FINAL],
      tools: [toolNamed('pay', { effect: 'once' })],
    });

    const result = await agent.run(input, runContext());

    expect(model.calls[1]?.request.tools?.map(({ name }) => name)).toEqual(['pay']);
    expect(toolResults(model.calls[2]?.request.messages)).toEqual([
      'pay: nothing',
      'This tool is not available now.',
    ]);
    expect(result.text).toBe('Done');
  });

  it('offers only them in the last step', async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['own']), callsOf(['theirs'])],
      tools: [toolNamed('own')],
      limits: { maxSteps: 2 },
    });

    const result = await agent.run(input, runContext());

    expect(model.calls[1]?.request).toMatchObject({ tools: [{ name: 'theirs' }] });
    expect(result.finishReason).toBe('tool_calls');
  });

  it.each(['required' as const, { name: 'theirs' }])(
    'binds the first step to them by the choice %j',
    async (toolChoice) => {
      const { agent, model } = createToolAgent({
        responses: [callsOf(['theirs'])],
        tools: [toolNamed('own')],
      });

      await agent.run({ ...input, toolChoice, parallelToolCalls: false }, runContext());

      expect(model.calls[0]?.request).toMatchObject({ toolChoice, parallelToolCalls: false });
      expect(model.calls[0]?.request.tools?.map(({ name }) => name)).toEqual(['theirs']);
    },
  );

  it("calls no tool at all by the choice 'none'", async () => {
    const { agent, model } = createToolAgent({
      responses: [callsOf(['theirs'])],
      tools: [toolNamed('own')],
    });

    const run = agent.run({ ...input, toolChoice: 'none' }, runContext());

    await expect(run).rejects.toMatchObject({
      code: 'upstream_invalid',
      message: expect.stringContaining('did not allow'),
    });
    expect(model.calls[0]?.request).toMatchObject({ toolChoice: 'none' });
  });

  it('refuses a name that an own tool has, by the path of the name', async () => {
    const { agent, model } = createToolAgent({ responses: [], tools: [toolNamed('theirs')] });

    await expect(agent.run(input, runContext())).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'tools.0.function.name',
    });

    expect(model.calls).toEqual([]);
  });
});
