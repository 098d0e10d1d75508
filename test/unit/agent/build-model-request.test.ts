import { isDeepStrictEqual } from 'node:util';
import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  option,
  record,
  string,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentInput, RunContext } from '../../../shared/agent/agent.ts';
import { estimateInput } from '../../../shared/agent/model-request.ts';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { createCachedAgent } from '../../../shared/agent/cached-agent.ts';
import { cacheKey } from '../../../shared/cache/cache-store.ts';
import type { ResponseCache } from '../../../shared/cache/response-cache.ts';
import type { ModelRequest } from '../../../shared/model/model.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { answerOf, createScriptedModel } from '../../support/scripted-model.ts';

const message = record({
  role: constantFrom(
    'system' as const,
    'developer' as const,
    'user' as const,
    'assistant' as const,
  ),
  content: string({ unit: 'grapheme', maxLength: 40 }),
});
const bound = option(integer({ min: 1, max: 500 }), { nil: undefined });
const anyInput = record({
  messages: array(message, { minLength: 1, maxLength: 6 }),
  maxOutputTokens: bound,
});
const anyPrompt = record({
  instructions: string(),
  parameters: record({ maxOutputTokens: bound }),
});

const PROMPT = { instructions: 'Be brief' };
const CONTEXT: RunContext = {
  signal: new AbortController().signal,
  deadlineAt: 1,
  traceparent: 't1',
  telemetry: noopTelemetry,
};

async function sentFor(input: AgentInput, prompt: { instructions: string }): Promise<ModelRequest> {
  const model = createScriptedModel({ answers: [async () => answerOf('x')] });
  await createAgent({ model, ...prompt }).run(input, CONTEXT);
  const [call] = model.calls;
  if (call === undefined) throw new Error('The model was not called');
  return call.request;
}

async function keyFor(input: AgentInput, instructions = 'Be brief'): Promise<string> {
  const keys: string[] = [];
  const responseCache: Pick<ResponseCache, 'lookup'> = {
    lookup: ({ parts }) => {
      keys.push(cacheKey(parts));
      return Promise.reject(new Error('looked up'));
    },
  };
  const agent = createCachedAgent({
    agent: createAgent({ model: createScriptedModel({}), instructions }),
    responseCache: responseCache as ResponseCache,
    instructions,
    model: () => 'm',
  });
  const run = agent.run(input, { ...CONTEXT, cache: { scope: 'alice' } });
  await expect(run).rejects.toThrow('looked up');
  return keys.join('');
}

describe('the model request', () => {
  it('is estimated with every message that is sent, and with the bound that is sent', async () => {
    await assert(
      asyncProperty(anyInput, anyPrompt, async (input, prompt) => {
        const sent = await sentFor(input, prompt);

        const size = estimateInput(input, prompt);

        expect(size.texts).toEqual(sent.messages.map(({ content }) => content));
        expect(size.maxOutputTokens).toBe(sent.maxOutputTokens);
      }),
    );
  });

  it('has another cache key after any change of a message, a role or the instructions', async () => {
    await assert(
      asyncProperty(anyInput, anyInput, async (one, other) => {
        const sent = await Promise.all([one, other].map((input) => sentFor(input, PROMPT)));
        const keys = await Promise.all([one, other].map((input) => keyFor(input)));

        const isSameRequest = isDeepStrictEqual(sent[0], sent[1]);

        expect(keys[0] === keys[1]).toBe(isSameRequest);
        expect(await keyFor(one, 'Be rude')).not.toBe(keys[0]);
      }),
    );
  });
});
