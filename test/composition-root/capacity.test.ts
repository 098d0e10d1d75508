import { afterEach, describe, expect, it } from 'vitest';
import { createService, type Service } from '../../shared/composition-root.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { inputOf } from '../support/scripted-model.ts';
import { say, startScriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';

const CAPACITY = 30_000;

let upstream: ScriptedUpstream | undefined;
let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  await upstream?.[Symbol.asyncDispose]();
});

async function start(agentToml: string) {
  upstream = await startScriptedUpstream(say('Hello'));
  service = await createService(
    { OPENAI_BASE_URL: upstream.baseUrl, OPENAI_API_KEY: 'k' },
    { agentToml, writeLog: () => undefined },
  );
  return { upstream, service };
}

function context(isBackground: boolean) {
  return {
    signal: new AbortController().signal,
    deadlineAt: Date.now() + 20_000,
    traceparent: '',
    telemetry: noopTelemetry,
    isBackground,
  };
}

const CAPACITY_TOML = `[model]\ncapacity_tokens_per_minute = ${CAPACITY}\n`;
/** About four characters to a token. */
const TOO_LONG = 'word '.repeat((CAPACITY * 4) / 5);

describe('T6 the capacity of the model endpoint', () => {
  it.each([
    ['a chat', false],
    ['a batch item', true],
  ])('refuses %s that can never fit, without a call', async (_what, isBackground) => {
    const { upstream, service } = await start(CAPACITY_TOML);

    const running = service.agent.run(inputOf(TOO_LONG), context(isBackground));

    await expect(running).rejects.toMatchObject({ code: 'context_too_long' });
    expect(upstream.requests).toHaveLength(0);
  });

  it('refuses a stream that can never fit, and serves the next request', async () => {
    const { upstream, service } = await start(CAPACITY_TOML);

    const events = service.agent.stream(inputOf(TOO_LONG), context(false));
    await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'context_too_long',
    });
    const next = await service.agent.run(inputOf('Hi'), context(false));

    expect(next.text).toBe('Hello');
    expect(upstream.requests).toHaveLength(1);
  });

  it.each([
    ['is the limit of a caller where that is higher', '', CAPACITY],
    ['leaves a lower limit alone', '[limits]\ntokens_per_minute = 9000\n', 9_000],
    ['leaves the limit off where it is', '[limits]\ntokens_per_minute = 0\n', undefined],
  ])('%s', async (_what, limitsToml, expected) => {
    const { service } = await start(CAPACITY_TOML + limitsToml);

    const { states } = await service.limits.limiter.reserve({ callerId: 'a', tokens: 1 });

    const tokens = states.find(({ policy }) => policy.name === 'tpm');
    expect(tokens?.policy.capacity).toBe(expected);
  });
});
