import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openAiChatCompletions as protocol } from '../../../shared/protocols/openai-chat-completions.ts';

const ROW = /^\| ([^|]+) \| `(\{.*\})` \| (accepted|`.*`) \|$/gm;
const cases = [...readFileSync('docs/chat-completions.md', 'utf8').matchAll(ROW)].map(
  ([, name = '', fields = '', answer = '']) => ({
    name,
    fields: z.record(z.string(), z.unknown()).parse(JSON.parse(fields)),
    answer: answer.replaceAll('`', ''),
  }),
);
const BASE = { messages: [{ role: 'user', content: 'Hi' }] };

function answerTo(body: unknown): string {
  try {
    protocol.toInput(protocol.parse(body));
    return 'accepted';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe('a chat completion of the documented table (F18, F19, F20)', () => {
  it('has rows of both kinds', () => {
    const accepted = cases.filter(({ answer }) => answer === 'accepted');

    expect(accepted.length).toBeGreaterThan(15);
    expect(cases.length - accepted.length).toBeGreaterThan(15);
  });

  it.each(cases)('is answered as documented: $name', ({ fields, answer }) => {
    const body = { ...BASE, ...fields };

    const answered = answerTo(body);

    expect(answered).toBe(answer === 'accepted' ? answer : `Cannot accept the request: ${answer}`);
  });
});

describe('null', () => {
  const PARAMETERS = cases.find(({ name }) => name === 'parameters that are null')?.fields ?? {};

  it('means the same as no value, for the request to the model', () => {
    const input = protocol.toInput(protocol.parse({ ...BASE, ...PARAMETERS }));

    expect(input).toEqual(protocol.toInput(protocol.parse(BASE)));
  });
});
