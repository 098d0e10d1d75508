import { afterEach, describe, expect, it } from 'vitest';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../dev/model/start-development-model.ts';
import { createService, type Service } from '../../shared/composition-root.ts';
import { ConfigError } from '../../shared/config/config-error.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { inputOf } from '../support/scripted-model.ts';

const models: DevelopmentModel[] = [];
let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  await Promise.all(models.splice(0).map((model) => model.stop()));
});

async function startModel(): Promise<DevelopmentModel> {
  const model = await startDevelopmentModel({ tokenDelayMs: 0, scale: 0.001 });
  models.push(model);
  return model;
}

function turn() {
  return {
    signal: new AbortController().signal,
    deadlineAt: Date.now() + 20_000,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    telemetry: noopTelemetry,
  };
}

describe('MODEL_FALLBACKS in the environment', () => {
  it('answers from the second endpoint when the first one is down', async () => {
    const [primary, fallback] = [await startModel(), await startModel()];
    service = await createService(
      {
        OPENAI_BASE_URL: primary.url,
        OPENAI_API_KEY: 'first',
        OPENAI_MODEL: 'dev/503-always',
        MODEL_FALLBACKS: JSON.stringify([
          { name: 'second', baseUrl: fallback.url, model: 'plain', apiKey: 'key-of-second' },
        ]),
      },
      { writeLog: () => undefined },
    );

    const result = await service.agent.run(inputOf('Hello'), turn());

    expect(result.text).toContain('Hello');
    expect(primary.calls()).toHaveLength(1);
    expect(fallback.calls()[0]?.headers['authorization']).toBe('Bearer key-of-second');
  });

  it('stops the start if a key must come from a vault that is not named', async () => {
    const start = createService(
      {
        OPENAI_API_KEY: 'first',
        MODEL_FALLBACKS: JSON.stringify([
          { name: 'b', baseUrl: 'https://b.example/v1', model: 'm', apiKeySecret: 'key-b' },
        ]),
      },
      { writeLog: () => undefined },
    );

    await expect(start).rejects.toThrow(ConfigError);
    await expect(start).rejects.toThrow(/AZURE_KEY_VAULT_URL/);
  });
});
