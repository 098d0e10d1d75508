import { describe, expect, it } from 'vitest';
import { fitMessages, inputBoundsOf } from '../../../shared/agent/input-bounds.ts';
import type { AgentInput, Message } from '../../../shared/agent/agent.ts';

const BOUNDS = { maxMessages: 5, maxChars: 100 };
const LONG = 'x'.repeat(60);
const NOW: Message = { role: 'user', content: 'Now' };
const CALL = { id: 'c', name: 'look', arguments: '{}' };
const HISTORY: Message[] = [
  { role: 'system', content: 'Stay' },
  { role: 'user', content: LONG },
  { role: 'assistant', content: null, toolCalls: [CALL] },
  { role: 'tool', toolCallId: 'c', content: LONG },
  NOW,
];

function rolesOf(input: Partial<AgentInput>): string[] {
  return fitMessages({ messages: HISTORY, ...input }, BOUNDS).map(({ role }) => role);
}

describe('the bounds of a conversation (F22)', () => {
  it.each([
    { what: 'texts', input: { messages: HISTORY } },
    { what: 'messages', input: { messages: Array.from({ length: 6 }, () => NOW) } },
    {
      what: 'tools of the client',
      input: {
        messages: HISTORY.slice(-1),
        tools: [{ name: 'a', description: LONG, parameters: { d: LONG }, nameParam: 'n' }],
      },
    },
  ])('refuse too many $what and name the field of the protocol', ({ input }) => {
    const fieldNames = { messages: 'input' };

    expect(() => rolesOf({ ...input, fieldNames })).toThrow(
      expect.objectContaining({ code: 'context_too_long', param: 'input' }),
    );
  });

  it('drop the oldest messages, and calls with their results, where the input permits it', () => {
    expect(rolesOf({ mayDropMessages: true })).toEqual(['system', 'assistant', 'tool', 'user']);
  });

  it('refuse a last message that is too long by itself, although messages may be dropped', () => {
    const messages: Message[] = [...HISTORY, { role: 'user', content: LONG + LONG }];

    expect(() => rolesOf({ messages, mayDropMessages: true })).toThrow(
      expect.objectContaining({ code: 'context_too_long' }),
    );
  });

  it.each([
    { settings: {}, expected: { maxMessages: 256, maxChars: 100_000 } },
    { settings: { contextTokens: 8_000 }, expected: { maxMessages: 256, maxChars: 32_000 } },
    {
      settings: { contextTokens: 1_000_000 },
      expected: { maxMessages: 2_000, maxChars: 4_000_000 },
    },
    {
      settings: { contextTokens: 1_000_000, maxMessages: 10, maxInputChars: 20 },
      expected: { maxMessages: 10, maxChars: 20 },
    },
  ])('follow the window of the model unless they are set: $settings', ({ settings, expected }) => {
    expect(inputBoundsOf(settings)).toEqual(expected);
  });
});
