import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createService } from '../../shared/composition-root.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { startLoopbackVault, type LoopbackVault } from '../support/loopback-vault.ts';
import { inputOf } from '../support/scripted-model.ts';
import { say, startScriptedUpstream } from '../support/scripted-upstream.ts';

const IDENTITY_SETTINGS = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'] as const;

let vault: LoopbackVault;
const before: Partial<Record<string, string>> = {};

beforeAll(async () => {
  vault = await startLoopbackVault();
  for (const name of IDENTITY_SETTINGS) {
    before[name] = process.env[name];
    process.env[name] = vault.identity[name];
  }
});

afterAll(async () => {
  for (const name of IDENTITY_SETTINGS) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await vault.close();
});

describe('an Azure endpoint without a key', () => {
  it('is called with a token of the managed identity', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const { origin } = new URL(upstream.baseUrl);
    const service = await createService(
      { AZURE_OPENAI_ENDPOINT: origin, AZURE_OPENAI_DEPLOYMENT: 'gpt' },
      { writeLog: () => undefined },
    );

    const { text } = await service.agent.run(inputOf('Hello'), {
      signal: new AbortController().signal,
      deadlineAt: Date.now() + 20_000,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      telemetry: noopTelemetry,
    });
    await service.close();

    expect(text).toBe('hello');
    expect(vault.tokenRequests()).toBe(1);
    expect(upstream.requests[0]?.headers['authorization']).toBe('Bearer loopback-token');
  });
});
