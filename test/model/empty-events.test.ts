import { describe, expect, it } from 'vitest';
import { createModelUnderTest } from '../support/model-under-test.ts';
import {
  chunk,
  cutStream,
  event,
  openStream,
  startScriptedUpstream,
  stream,
  type Script,
} from '../support/scripted-upstream.ts';

const HELLO = chunk({ content: 'Hello' });
const STOP = chunk({}, 'stop');

const WORDLESS: readonly (readonly [string, string])[] = [
  ['no data', 'data:\n\n'],
  ['blank data', 'data:    \n\n'],
  ['null', 'data: null\n\n'],
  ['an empty object', event({})],
  ['an object without choices', event({ id: 'chatcmpl-1', object: 'chat.completion.chunk' })],
  ['choices that are null', event({ id: 'chatcmpl-1', choices: null })],
  ['no choices', event({ choices: [] })],
  ['a choice without a delta', event({ choices: [{ index: 0, finish_reason: null }] })],
  ['a null error', event({ error: null })],
  ['a comment', ': keep-alive\n\n'],
  ['a named event', 'event: ping\ndata: not JSON\n\n'],
  ['blanks only', ' \n\n'],
];

/** A response with the bytes before, between and after its chunks. */
function around(bytes: string): Script {
  return ({ response }) => {
    openStream(response);
    response.write(bytes + event(HELLO) + bytes + event(STOP) + bytes);
    response.end(`${event('[DONE] ')}${bytes}`);
  };
}

async function outcomesOf(script: Script, times = 1) {
  await using upstream = await startScriptedUpstream(script);
  const underTest = createModelUnderTest({ endpoints: [upstream.baseUrl] });
  const outcomes = [];
  for (let i = 0; i < times; i += 1) outcomes.push(await underTest.stream());
  return { outcomes, calls: upstream.requests.length, state: underTest.model.endpoints()[0] };
}

describe('F2 events without content', () => {
  it.each(WORDLESS)(
    '%s: do not change the response, in five streams in a row',
    async (_name, bytes) => {
      const { outcomes, calls, state } = await outcomesOf(around(bytes), 5);

      expect(outcomes.map(({ answer }) => answer?.text)).toEqual(Array(5).fill('Hello'));
      expect(calls).toBe(5);
      expect(state?.circuit).toBe('closed');
    },
  );

  it.each([
    ['JSON that is cut', 'data: {"choices":[\n\n'],
    ['an object of another shape', event({ choices: 'none' })],
    ['an error', event({ error: { message: 'canary', code: 'server_error' } })],
    ['an error event', 'event: error\ndata: {"message":"canary"}\n\n'],
    ['a content filter', event({ error: { code: 'content_filter' } })],
    ['a line beyond the cap', `data: ${'x'.repeat(2_000_000)}\n\n`],
    ['text that is not JSON', event('[DONE]].')],
    ['a choice of another index', event(chunk({ content: 'x' }, 'tired'))],
  ])('%s after the finish reason does not invalidate the response', async (_name, bytes) => {
    const { outcomes, calls } = await outcomesOf(({ response }) => {
      openStream(response, HELLO, STOP);
      response.end(bytes);
    });

    expect(outcomes[0]).toMatchObject({ answer: { finishReason: 'stop' }, error: undefined });
    expect(outcomes[0]?.answer?.text).toMatch(/^Hello/);
    expect(calls).toBe(1);
  });

  it('a broken connection after the finish reason does not invalidate the response', async () => {
    const { outcomes } = await outcomesOf(cutStream(HELLO, STOP));

    expect(outcomes[0]).toMatchObject({ answer: { text: 'Hello' }, error: undefined });
  });

  it('do not keep a stream alive and do not count as its end', async () => {
    const { outcomes } = await outcomesOf(stream(HELLO, {}, { choices: [] }, '[DONE]'));

    expect(outcomes[0]).toMatchObject({
      text: 'Hello',
      answer: undefined,
      error: { code: 'upstream_interrupted' },
    });
  });
});

describe('F10 an endpoint that does not close its stream', () => {
  function neverEnding(...data: readonly unknown[]): Script {
    return ({ response }) => openStream(response, ...data);
  }
  const USAGE = {
    choices: [],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  };

  it.each([
    ['usage after the finish reason', neverEnding(HELLO, STOP, USAGE), false],
    [
      'usage with the finish reason',
      neverEnding(HELLO, { ...Object(STOP), ...USAGE, choices: Object(STOP).choices }),
      false,
    ],
    ['usage before the finish reason', neverEnding(USAGE, HELLO, STOP), false],
    ['no usage', neverEnding(HELLO, STOP), true],
    [
      'no usage but comments',
      ({ response }: Parameters<Script>[0]) => {
        openStream(response, HELLO, STOP);
        const timer = setInterval(() => response.write(': ping\n\n'), 20);
        response.once('close', () => clearInterval(timer));
      },
      true,
    ],
  ])('ends long before the idle timeout: %s', async (...row) => {
    const [, script, usageEstimated] = row;
    await using upstream = await startScriptedUpstream(script);
    const { stream: ask } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { idleTimeoutMs: 600_000, firstTokenTimeoutMs: 600_000 },
    });

    const { answer } = await ask();

    expect(answer).toMatchObject({ text: 'Hello', finishReason: 'stop' });
    expect(answer?.usageEstimated === true).toBe(usageEstimated);
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });
});
