import { describe, expect, it } from 'vitest';
import type { Message } from '../../../shared/agent/agent.ts';
import { trimHistory } from '../../../shared/sessions/trim-history.ts';

const user = (content: string): Message => ({ role: 'user', content });
const answer = (content: string): Message => ({ role: 'assistant', content });
const toolStep = (id: string): Message[] => [
  {
    role: 'assistant',
    content: null,
    toolCalls: [
      { id: `${id}a`, name: 'find', arguments: '{}' },
      { id: `${id}b`, name: 'find', arguments: '{}' },
    ],
  },
  { role: 'tool', toolCallId: `${id}a`, content: 'x' },
  { role: 'tool', toolCallId: `${id}b`, content: 'x' },
];
const CONVERSATION = [
  user('1'),
  ...toolStep('t1'),
  answer('1'),
  user('2'),
  ...toolStep('t2'),
  answer('2'),
];
/** Each message is one token. */
const trim = (maxTokens: number, messages = CONVERSATION) =>
  trimHistory(messages, { maxTokens, estimate: () => 1 });
const describeAll = (messages: readonly Message[]) =>
  messages.map((message) => `${message.role} ${JSON.stringify(message.content ?? 'calls')}`);

describe('trimHistory', () => {
  it('leaves a conversation alone that fits', () => {
    const { messages, dropped } = trim(10);

    expect(messages).toEqual(CONVERSATION);
    expect(dropped).toEqual([]);
  });

  it('drops the oldest tool calls together with their results first', () => {
    const { messages, dropped } = trim(9);

    expect(dropped).toEqual(toolStep('t1'));
    expect(describeAll(messages).slice(0, 3)).toEqual(['user "1"', 'assistant "1"', 'user "2"']);
  });

  it('drops the oldest messages once no tool call is left', () => {
    const { messages } = trim(3);

    expect(describeAll(messages)).toEqual(['user "2"', 'assistant "2"']);
  });

  it.each(Array.from({ length: 12 }, (_, index) => index))(
    'never separates a call from its result, and begins with the user, in %d tokens',
    (maxTokens) => {
      const { messages, dropped } = trim(maxTokens);

      const calls = messages.flatMap((message) =>
        message.role === 'assistant' ? (message.toolCalls ?? []) : [],
      );
      const results = messages.flatMap((message) =>
        message.role === 'tool' ? [message.toolCallId] : [],
      );
      expect(calls.map(({ id }) => id)).toEqual(results);
      expect(messages.length).toBeLessThanOrEqual(maxTokens);
      expect(messages.length + dropped.length).toBe(CONVERSATION.length);
      expect(messages[0]?.role ?? 'user').toBe('user');
    },
  );
});
