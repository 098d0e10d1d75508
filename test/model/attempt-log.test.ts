import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf, QUESTION } from '../support/model-under-test.ts';
import {
  chunk,
  cutStream,
  openStream,
  refuse,
  inTurn,
  say,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';

function attemptsIn({ lines }: ReturnType<typeof createModelUnderTest>) {
  return lines
    .filter(({ message }) => message === 'model attempt')
    .map(({ level, fields }) => ({ level, fields }));
}

const attempt = (fields: Record<string, unknown>) => ({
  level: 'debug',
  fields: { endpoint: 'primary', durationMs: expect.any(Number), ...fields },
});

describe('the debug log', () => {
  it('has one line for each attempt, with what follows it', async () => {
    await using failing = await startScriptedUpstream(refuse(503));
    await using healthy = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after-ms': '20' }), say('hello')),
    );
    const underTest = createModelUnderTest({
      endpoints: [failing.baseUrl, healthy.baseUrl],
      settings: { breakerFailures: 1 },
    });

    await underTest.complete();

    expect(attemptsIn(underTest)).toEqual([
      attempt({ attempt: 1, outcome: 'upstream_unavailable', decision: 'fail-over' }),
      attempt({
        endpoint: 'fallback-1',
        attempt: 2,
        outcome: 'upstream_rate_limited',
        decision: 'await-cooldown',
      }),
      attempt({ endpoint: 'fallback-1', attempt: 3, outcome: 'ok' }),
    ]);
  });

  it('has the outcome of a failed, of an interrupted and of an aborted call', async () => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(400), cutStream(chunk({ content: 'Hello' })), ({ response }) =>
        openStream(response, chunk({ content: 'Hello' })),
      ),
    );
    const underTest = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    await failureOf(underTest.complete());
    await underTest.stream();
    for await (const _event of underTest.model.stream(QUESTION, underTest.call())) break;

    expect(attemptsIn(underTest)).toEqual([
      attempt({ attempt: 1, outcome: 'upstream_misconfigured', decision: 'fail' }),
      attempt({ attempt: 1, outcome: 'upstream_interrupted', decision: 'fail' }),
      attempt({ attempt: 1, outcome: 'aborted' }),
    ]);
  });

  it('has no content of a call', async () => {
    await using upstream = await startScriptedUpstream(say('canary response'));
    const underTest = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    await underTest.complete();

    expect(attemptsIn(underTest)).toEqual([attempt({ attempt: 1, outcome: 'ok' })]);
    expect(JSON.stringify(underTest.lines)).not.toMatch(/canary|Hello/);
  });
});
