import { describe, expect, it } from 'vitest';
import type { ModelEvent } from '../../shared/model/model.ts';
import { createModelUnderTest, QUESTION } from '../support/model-under-test.ts';
import { chunk, event, startScriptedUpstream } from '../support/scripted-upstream.ts';

const HELLO = chunk({ content: 'Hello' });
const STOP = chunk({}, 'stop');

function piecesOf(events: readonly ModelEvent[]): readonly string[] {
  return events.flatMap((one) => (one.type === 'text-delta' ? (one.pieces ?? [one.text]) : []));
}

describe('a stream', () => {
  it('passes deltas that arrive in one read together, as text and in their pieces', async () => {
    await using upstream = await startScriptedUpstream(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end([HELLO, chunk({ content: ' you' }), STOP].map(event).join(''));
    });
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const events: ModelEvent[] = [];
    for await (const one of model.stream(QUESTION, call())) events.push(one);

    expect(events).toMatchObject([
      { type: 'text-delta', text: 'Hello you', pieces: ['Hello', ' you'] },
      { type: 'done', response: { text: 'Hello you' } },
    ]);
  });

  it('delivers the text before a fault that arrives in the same read', async () => {
    await using upstream = await startScriptedUpstream(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end([HELLO, chunk({ content: ' you' }), { choices: 1 }].map(event).join(''));
    });
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const events: ModelEvent[] = [];
    const reading = async (): Promise<void> => {
      for await (const one of model.stream(QUESTION, call())) events.push(one);
    };

    await expect(reading()).rejects.toMatchObject({ code: 'upstream_invalid' });
    expect(piecesOf(events)).toEqual(['Hello', ' you']);
  });
});
