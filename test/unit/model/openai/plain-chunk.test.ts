import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  chunkSchema,
  type CompletionChunk,
  readPlainChunk,
} from '../../../../shared/model/openai/schema.ts';
import { createStreamAccumulator } from '../../../../shared/model/openai/stream-accumulator.ts';
import type { ModelEndpoint } from '../../../../shared/model/model.ts';

const ENDPOINT: ModelEndpoint = {
  name: 'primary',
  kind: 'openai',
  baseUrl: 'http://127.0.0.1',
  model: 'm',
  apiKey: async () => 'unused',
};
const STOP: CompletionChunk = { choices: [{ finish_reason: 'stop' }] };

const odd = fc.constantFrom<unknown>(null, '', 'text', 0, 1, -1, true, [], {}, [{}]);
/** Mostly as a plain chunk has it, and sometimes another value. */
function mostly(usual: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: odd });
}
const absent = mostly(fc.constant(undefined));
const delta = fc.record({
  content: mostly(fc.string({ unit: 'binary' })),
  role: absent,
  refusal: absent,
  reasoning: absent,
  reasoning_content: absent,
  tool_calls: absent,
  function_call: absent,
});
const choice = fc.record({
  index: mostly(fc.constantFrom(0, undefined)),
  delta: mostly(delta),
  finish_reason: mostly(fc.constantFrom(null, undefined)),
});
const chunk = fc.record({
  error: absent,
  model: mostly(fc.string({ minLength: 198, maxLength: 201 })),
  choices: mostly(fc.array(mostly(choice), { minLength: 1, maxLength: 2 })),
  usage: mostly(fc.constantFrom(null, undefined, { prompt_tokens: 1, completion_tokens: 1 })),
  vendor: absent,
});

/** What a stream makes of a chunk: its effect, and the response that it leads to. */
function effectOf(one: CompletionChunk): unknown {
  const accumulator = createStreamAccumulator({
    endpoint: ENDPOINT,
    request: { messages: [] },
    onMappedFinishReason: () => undefined,
    maxChars: 1_000,
  });
  const effect = accumulator.add(one);
  const state = [accumulator.hasFinished(), accumulator.hasUsage()];
  accumulator.add(STOP);
  return [effect, state, accumulator.flush(), accumulator.response()];
}

it('a plain chunk has the effect of the same chunk after the schema', () => {
  let plainOnes = 0;

  fc.assert(
    fc.property(chunk, (value) => {
      const sent: unknown = JSON.parse(JSON.stringify(value));
      const plain = readPlainChunk(sent);
      if (plain === undefined) return;
      plainOnes += 1;
      expect(effectOf(plain)).toEqual(effectOf(chunkSchema.parse(sent)));
    }),
    { numRuns: 5_000, seed: 1 },
  );

  expect(plainOnes).toBeGreaterThan(200);
});

it.each([
  ['a value that is no object', [{}]],
  ['usage', { choices: [{ delta: { content: 'a' } }], usage: {} }],
  ['an error', { choices: [{ delta: { content: 'a' } }], error: {} }],
  ['a finish reason', { choices: [{ delta: { content: 'a' }, finish_reason: 'stop' }] }],
  ['reasoning', { choices: [{ delta: { content: '', reasoning_content: 'hm' } }] }],
  ['two choices', { choices: [{ delta: { content: 'a' } }, { delta: { content: 'b' } }] }],
])('%s is left to the schema', (_what, value) => {
  expect(readPlainChunk(value)).toBeUndefined();
});
