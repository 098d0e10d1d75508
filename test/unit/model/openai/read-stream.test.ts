import { describe, expect, it } from 'vitest';
import { chunkSchema } from '../../../../shared/model/openai/schema.ts';
import { createStreamAccumulator } from '../../../../shared/model/openai/read-stream.ts';

function createCollector(maxChars = 1_000) {
  const collector = createStreamAccumulator({
    endpoint: {
      name: 'primary',
      kind: 'openai',
      baseUrl: 'http://127.0.0.1/v1',
      model: 'model-a',
      apiKey: async () => 'key',
    },
    request: { messages: [{ role: 'user', content: 'hi' }] },
    maxChars,
  });
  return {
    ...collector,
    addDelta: (delta: unknown, finish: string | null = null) =>
      collector.add(chunkSchema.parse({ choices: [{ index: 0, delta, finish_reason: finish }] })),
  };
}

describe('stream collector', () => {
  it('puts text together and says what is visible', () => {
    const collector = createCollector();

    const effects = [{ role: 'assistant', content: '' }, { content: 'Hel' }, { content: 'lo' }].map(
      (delta) => collector.addDelta(delta),
    );
    collector.addDelta({}, 'stop');

    expect(effects.map(({ text }) => text)).toEqual(['', 'Hel', 'lo']);
    expect(collector.answer()).toMatchObject({ text: 'Hello', finishReason: 'stop' });
  });

  it('puts a text of very many pieces together in order', () => {
    const collector = createCollector(100_000);
    const words = Array.from({ length: 3_000 }, (_, index) => `${index} `);

    for (const word of words) collector.addDelta({ content: word });
    collector.addDelta({}, 'stop');

    expect(collector.answer().text).toBe(words.join(''));
  });

  it('puts tool calls together by their index, in order', () => {
    const collector = createCollector();
    const deltas = [
      [{ index: 1, id: 'b', function: { name: 'two', arguments: '' } }],
      [{ index: 0, id: 'a', function: { name: 'one', arguments: '{"x"' } }],
      [{ index: 0, function: { arguments: ':1}' } }],
      [{ index: 1, function: { arguments: '{}' } }],
    ];

    const effects = deltas.map((toolCalls) => collector.addDelta({ tool_calls: toolCalls }));
    collector.addDelta({}, 'tool_calls');

    expect(effects.every(({ progress, text }) => progress && text === '')).toBe(true);
    expect(collector.answer().toolCalls).toEqual([
      { id: 'a', name: 'one', arguments: '{"x":1}' },
      { id: 'b', name: 'two', arguments: '{}' },
    ]);
  });

  it('counts thinking aloud as progress, not as text', () => {
    const collector = createCollector();

    expect(collector.addDelta({ reasoning_content: 'hm' })).toEqual({ text: '', progress: true });
    expect(collector.addDelta({ reasoning: 'hm' })).toEqual({ text: '', progress: true });
    expect(collector.addDelta({ content: '' })).toEqual({ text: '', progress: false });
  });

  it('shows a refusal as text', () => {
    const collector = createCollector();

    collector.addDelta({ refusal: 'I cannot help with that' });
    collector.addDelta({}, 'stop');

    expect(collector.answer().text).toBe('I cannot help with that');
  });

  it('reads no choice but the first', () => {
    const collector = createCollector();

    collector.add(
      chunkSchema.parse({
        choices: [{ index: 1, delta: { content: 'other' }, finish_reason: 'stop' }],
      }),
    );

    expect(collector.hasFinished()).toBe(false);
  });

  it('U16: refuses a tool call without id or name', () => {
    const collector = createCollector();

    collector.addDelta({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] }, 'tool_calls');

    expect(() => collector.answer()).toThrow(expect.objectContaining({ code: 'upstream_invalid' }));
  });

  it('passes on more text than it keeps, and says that it was dropped', () => {
    const collector = createCollector(100);
    const delta = { content: 'x'.repeat(60) };

    const effects = [collector.addDelta(delta), collector.addDelta(delta)];
    collector.addDelta({}, 'stop');

    expect(effects.map(({ text }) => text.length)).toEqual([60, 60]);
    expect(collector.answer()).toMatchObject({
      text: '',
      isTextDropped: true,
      usage: { outputTokens: 30 },
    });
  });

  it('U16: refuses more arguments than the cap', () => {
    const collector = createCollector(100);
    const delta = { tool_calls: [{ index: 0, function: { arguments: 'x'.repeat(60) } }] };
    collector.addDelta(delta);

    expect(() => collector.addDelta(delta)).toThrow(
      expect.objectContaining({ code: 'upstream_invalid' }),
    );
  });

  it('U16: bounds the number of empty tool calls', () => {
    const collector = createCollector(100);

    expect(() => {
      for (let index = 0; index < 200; index += 1) collector.addDelta({ tool_calls: [{ index }] });
    }).toThrow(expect.objectContaining({ code: 'upstream_invalid' }));
  });
});
