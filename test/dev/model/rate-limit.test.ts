import { describe, expect, it } from 'vitest';
import { lastUserText } from '../../../dev/model/chat-request.ts';
import { ask, post, say, startModel } from './support.ts';

describe('a development model with a rate limit', () => {
  it('refuses the requests that are over it, until another limit is set', async () => {
    const model = await startModel();
    const statusOf = async (text: string): Promise<number> =>
      (await post(model, { body: ask('any', { messages: say(text) }) })).status;
    model.limitRate((request) =>
      lastUserText(request) === 'big' ? { 'retry-after': '7' } : undefined,
    );

    const limited = await post(model, { body: ask('any', { messages: say('big') }) });
    const meanwhile = await statusOf('small');
    model.limitRate(() => undefined);
    const later = await statusOf('big');

    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    expect([meanwhile, later]).toEqual([200, 200]);
    expect(model.calls().map(({ httpStatus }) => httpStatus)).toEqual([429, 200, 200]);
  });
});
