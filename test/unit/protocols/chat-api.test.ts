import { describe, expect, it } from 'vitest';
import { chatApi } from '../../../shared/protocols/chat-api.ts';
import { ServiceError } from '../../../shared/errors.ts';

function refusal(body: unknown): ServiceError {
  try {
    chatApi.parse(body);
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error('The request was accepted');
}

const metadataOf = (keys: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: keys }, (_, at) => [`k${at}`, 'v']));

describe('the request of /api/chat', () => {
  it('takes a message alone and with everything', () => {
    const whole = {
      message: ' Hi\n',
      stream: true,
      maxOutputTokens: 128_000,
      metadata: { constructor: 'a', team: 'b' },
    };

    expect(chatApi.parse({ message: 'x'.repeat(100_000) }).message).toHaveLength(100_000);
    expect(chatApi.parse(whole)).toEqual(whole);
  });

  it.each([
    [{}, 'message', '"message" is required and must be of type string'],
    [{ message: undefined }, 'message', '"message" must be of type string'],
    [{ message: null }, 'message', '"message" must be of type string'],
    [{ message: 7 }, 'message', '"message" must be of type string'],
    [{ message: ['x'] }, 'message', '"message" must be of type string'],
    [{ message: '' }, 'message', '"message" must not be blank'],
    [{ message: ' \t\u3000' }, 'message', '"message" must not be blank'],
    [{ message: 'x', stream: 'yes' }, 'stream', '"stream" must be of type boolean'],
    [{ message: 'x', maxOutputTokens: 0 }, 'maxOutputTokens', 'must be at least 1'],
    [{ message: 'x', maxOutputTokens: 1.5 }, 'maxOutputTokens', 'must be of type int'],
    [{ message: 'x', maxOutputTokens: 1_000_001 }, 'maxOutputTokens', 'must be at most 1000000'],
    [{ message: 'x', maxOutputTokens: '5' }, 'maxOutputTokens', 'must be of type number'],
    [{ message: 'x', metadata: [] }, 'metadata', '"metadata" must be of type'],
    [{ message: 'x', metadata: { a: 1 } }, 'metadata.a', '"metadata.a" must be of type string'],
    [{ message: 'x', metadata: { a: 'v'.repeat(513) } }, 'metadata.a', 'at most 512 characters'],
    [{ message: 'x', metadata: metadataOf(17) }, 'metadata', 'must have at most 16 keys'],
    [{ message: 'x', sessionId: 7 }, 'sessionId', 'must be of type string'],
    [{ message: 'x', role: 'system' }, 'role', 'is not a field that is known here'],
    [{ message: 'x', '': 1 }, '', '"" is not a field that is known here'],
  ])('refuses body %#, naming the field', (body, param, text) => {
    const error = refusal(body);

    expect(error).toMatchObject({ code: 'invalid_request', param });
    expect(error.message).toContain(text);
  });

  it.each([null, 1, 'text', true, []])('refuses %j as a whole', (body) => {
    const error = refusal(body);

    expect(error.param).toBeUndefined();
    expect(error.message).toBe('Cannot accept the request: the body must be of type object');
  });

  it('never repeats a value, and caps a name', () => {
    const error = refusal({ message: 'x', metadata: { a: 'canary'.repeat(200) } });
    const longName = refusal({ message: 'x', ['k'.repeat(5_000)]: 1 });

    expect(error.message).not.toContain('canary');
    expect(longName.message.length).toBeLessThan(300);
  });
});
