import { describe, expect, it } from 'vitest';
import { chunkSchema } from '../../../../shared/model/openai/schema.ts';
import { createStreamAccumulator } from '../../../../shared/model/openai/stream-accumulator.ts';

function createAccumulator(maxChars = 1_000) {
  const accumulator = createStreamAccumulator({
    endpoint: {
      name: 'primary',
      kind: 'openai',
      baseUrl: 'http://127.0.0.1/v1',
      model: 'model-a',
      apiKey: async () => 'key',
    },
    request: {
      messages: [{ role: 'user', content: 'hi' }],
      tools: [{ name: 'one', parameters: {} }],
    },
    onMappedFinishReason: () => undefined,
    maxChars,
  });
  return {
    ...accumulator,
    addDelta: (delta: unknown, finish: string | null = null) =>
      accumulator.add(chunkSchema.parse({ choices: [{ index: 0, delta, finish_reason: finish }] })),
  };
}

describe('stream accumulator', () => {
  it('joins text and reports what is visible', () => {
    const accumulator = createAccumulator();

    const effects = [{ role: 'assistant', content: '' }, { content: 'Hel' }, { content: 'lo' }].map(
      (delta) => accumulator.addDelta(delta),
    );
    accumulator.addDelta({}, 'stop');

    expect(effects.map(({ text }) => text)).toEqual(['', 'Hel', 'lo']);
    expect(accumulator.response()).toMatchObject({ text: 'Hello', finishReason: 'stop' });
  });

  it('joins a text of very many chunks in order', () => {
    const accumulator = createAccumulator(100_000);
    const words = Array.from({ length: 3_000 }, (_, index) => `${index} `);

    for (const word of words) accumulator.addDelta({ content: word });
    accumulator.addDelta({}, 'stop');

    expect(accumulator.response().text).toBe(words.join(''));
  });

  it('joins tool calls by their index, in order', () => {
    const accumulator = createAccumulator();
    const deltas = [
      [{ index: 1, id: 'b', function: { name: 'two', arguments: '' } }],
      [{ index: 0, id: 'a', function: { name: 'one', arguments: '{"x"' } }],
      [{ index: 0, function: { arguments: ':1}' } }],
      [{ index: 1, function: { arguments: '{}' } }],
    ];

    const effects = deltas.map((toolCalls) => accumulator.addDelta({ tool_calls: toolCalls }));
    accumulator.addDelta({}, 'tool_calls');

    expect(effects.every(({ progress, text }) => progress && text === '')).toBe(true);
    expect(accumulator.response().toolCalls).toEqual([
      { id: 'a', name: 'one', arguments: '{"x":1}' },
      { id: 'b', name: 'two', arguments: '{}' },
    ]);
  });

  it('counts reasoning text as progress, not as text', () => {
    const accumulator = createAccumulator();

    expect(accumulator.addDelta({ reasoning_content: 'hm' })).toEqual({ text: '', progress: true });
    expect(accumulator.addDelta({ reasoning: 'hm' })).toEqual({ text: '', progress: true });
    expect(accumulator.addDelta({ content: '' })).toEqual({ text: '', progress: false });
  });

  it('shows a refusal as text', () => {
    const accumulator = createAccumulator();

    accumulator.addDelta({ refusal: 'I cannot help with that' });
    accumulator.addDelta({}, 'stop');

    expect(accumulator.response().text).toBe('I cannot help with that');
  });

  it('reads no choice but the first', () => {
    const accumulator = createAccumulator();

    accumulator.add(
      chunkSchema.parse({
        choices: [{ index: 1, delta: { content: 'other' }, finish_reason: 'stop' }],
      }),
    );

    expect(accumulator.hasFinished()).toBe(false);
  });

  it('U16: refuses a tool call without id or name', () => {
    const accumulator = createAccumulator();

    accumulator.addDelta(
      { tool_calls: [{ index: 0, function: { arguments: '{}' } }] },
      'tool_calls',
    );

    expect(() => accumulator.response()).toThrow(
      expect.objectContaining({ code: 'upstream_invalid' }),
    );
  });

  it('delivers more text than it keeps, and marks it as dropped', () => {
    const accumulator = createAccumulator(100);
    const delta = { content: 'x'.repeat(60) };

    const effects = [accumulator.addDelta(delta), accumulator.addDelta(delta)];
    accumulator.addDelta({}, 'stop');

    expect(effects.map(({ text }) => text.length)).toEqual([60, 60]);
    expect(accumulator.response()).toMatchObject({
      text: '',
      isTextDropped: true,
      usage: { outputTokens: 30 },
    });
  });

  it('U16: refuses more arguments than the cap', () => {
    const accumulator = createAccumulator(100);
    const delta = { tool_calls: [{ index: 0, function: { arguments: 'x'.repeat(60) } }] };
    accumulator.addDelta(delta);

    expect(() => accumulator.addDelta(delta)).toThrow(
      expect.objectContaining({ code: 'upstream_invalid' }),
    );
  });

  it('U16: bounds the number of empty tool calls', () => {
    const accumulator = createAccumulator(100);

    expect(() => {
      for (let index = 0; index < 200; index += 1)
        accumulator.addDelta({ tool_calls: [{ index }] });
    }).toThrow(expect.objectContaining({ code: 'upstream_invalid' }));
  });
});
