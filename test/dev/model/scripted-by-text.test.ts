import { describe, expect, it } from 'vitest';
import { clientOf, say, startModel } from './support.ts';

describe('a user message whose first word names a scripted model', () => {
  it('is answered by that script, and its neighbours are not', async () => {
    const client = clientOf(await startModel());

    const refused = client.chat.completions.create({
      model: 'any',
      messages: say('dev/content-filter Hello'),
    });
    const answered = client.chat.completions.create({ model: 'any', messages: say('Hello') });

    await expect(refused).rejects.toMatchObject({ status: 400, code: 'content_filter' });
    expect((await answered).choices[0]?.message.content).toContain('Hello');
  });

  it('is plain text where no script has that name', async () => {
    const client = clientOf(await startModel());

    const answer = await client.chat.completions.create({
      model: 'any',
      messages: say('dev/null is a file'),
    });

    expect(answer.choices[0]?.message.content).toContain('dev/null is a file');
  });
});
