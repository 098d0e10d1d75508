import { describe, expect, it } from 'vitest';
import { aiChatProtocol } from '../../../shared/protocols/ai-chat-protocol.ts';
import { aiSdkUiStream } from '../../../shared/protocols/ai-sdk-ui-stream.ts';
import { DONE, type SseEvent } from '../../../shared/protocols/protocol.ts';

const SESSION = 'sess_0123456789abcdef';

type Role = 'user' | 'assistant' | 'system';

function ui(messages: readonly (readonly [Role, string])[], fields: object = {}) {
  return aiSdkUiStream.parse({
    id: 'chat-1',
    trigger: 'submit-message',
    messages: messages.map(([role, text]) => ({ role, parts: [{ type: 'text', text }] })),
    ...fields,
  });
}

function protocolChat(messages: readonly (readonly [Role, string])[], sessionState?: unknown) {
  return aiChatProtocol.parse({
    messages: messages.map(([role, content]) => ({ role, content })),
    ...(sessionState === undefined ? {} : { sessionState }),
  });
}

const CONVERSATION = [
  ['system', 'Be brief'],
  ['user', 'One'],
  ['assistant', 'First'],
  ['user', 'Two'],
] as const;

describe('the session of a chat of the AI SDK', () => {
  it.each([
    ['none by default', {}, undefined],
    ['a new one', { sessionId: null }, { sessionId: undefined }],
    ['the named one', { sessionId: SESSION }, { sessionId: SESSION }],
    ['the one with the id of the chat', { id: SESSION }, { sessionId: SESSION }],
  ])('is %s', (_name, fields, expected) => {
    const request = ui([['user', 'Hi']], fields);

    const session = aiSdkUiStream.sessionOf?.(request);

    expect(session).toEqual(expected);
  });

  it('has the earlier messages, so that only the new ones and instructions are read', () => {
    const inSession = aiSdkUiStream.toInput(ui(CONVERSATION, { sessionId: SESSION }));
    const alone = aiSdkUiStream.toInput(ui(CONVERSATION));

    expect(inSession.messages.map(({ content }) => content)).toEqual(['Be brief', 'Two']);
    expect(alone.messages.map(({ content }) => content)).toEqual([
      'Be brief',
      'One',
      'First',
      'Two',
    ]);
  });

  it('is not started in the middle of a conversation, and no message is blank', () => {
    expect(() => ui(CONVERSATION, { sessionId: null })).toThrow(/must have no answers/);
    expect(() => ui([['user', ' ']])).toThrow(/must have text or an image/);
    expect(() => ui([...CONVERSATION, ['user', ' ']])).toThrow(/must have text or an image/);
  });
});

describe('a session', () => {
  it('needs a message of the user as the last one', () => {
    const answered = CONVERSATION.slice(0, 3);

    expect(() => ui(answered, { sessionId: SESSION })).toThrow(/must be of the user/);
    expect(() => protocolChat(answered, SESSION)).toThrow(/must be of the user/);
    expect(() => ui(answered)).not.toThrow();
  });
});

describe('the session of the AI Chat Protocol', () => {
  it.each([
    ['a new one for a first message', protocolChat([['user', 'Hi']]), { sessionId: undefined }],
    ['the named one', protocolChat(CONVERSATION, SESSION), { sessionId: SESSION }],
    ['none with a state of the client', protocolChat([['user', 'Hi']], { cart: 7 }), undefined],
    ['none for a conversation without a state', protocolChat(CONVERSATION), undefined],
  ])('is %s', (_name, request, expected) => {
    const session = aiChatProtocol.sessionOf?.(request);

    expect(session).toEqual(expected);
  });
});

describe('a stream of the AI SDK', () => {
  const open = (sessionId: string | null) =>
    aiSdkUiStream.openStream({
      request: ui([['user', 'Hi']], { sessionId: SESSION }),
      requestId: 'request-1',
      startedAt: 0,
      publicModel: 'agent',
      sessionId: () => sessionId,
    });
  const dataOf = (events: readonly SseEvent[]) => events.map(({ data }) => data);

  it('begins with the id of its message and of its session', () => {
    const encoder = open(SESSION);

    const chunks = dataOf(encoder.start());

    expect(chunks).toEqual([
      {
        type: 'start',
        messageId: 'msg_request-1',
        messageMetadata: { requestId: 'request-1', sessionId: SESSION },
      },
    ]);
  });

  it('closes the text of a step that is repeated, and says that it is void', () => {
    const encoder = open(SESSION);
    encoder.event({ type: 'text-delta', text: 'Half' });

    const restarted = dataOf(encoder.restart?.() ?? []);
    const again = dataOf(encoder.event({ type: 'text-delta', text: 'Whole' }));

    expect(restarted).toEqual([
      { type: 'text-end', id: 'text-1' },
      { type: 'data-restart', data: { texts: 1 } },
    ]);
    expect(again[0]).toEqual({ type: 'text-start', id: 'text-2' });
  });

  it('ends with an abort when its run is cancelled', () => {
    const encoder = open(null);

    const chunks = dataOf(encoder.cancel?.() ?? []);

    expect(chunks).toEqual([{ type: 'abort' }, DONE]);
  });
});
