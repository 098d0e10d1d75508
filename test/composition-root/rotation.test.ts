import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { createService, type Service } from '../../shared/composition-root.ts';
import { isUsableList } from '../../shared/callers/caller.ts';
import { ConfigError } from '../../shared/config/config-error.ts';
import { requiredSecrets } from '../../shared/config/read-variables.ts';
import { DEFAULT_REFRESH_SCHEDULE } from '../../shared/secrets/refresh-schedule.ts';
import { createVaultSecrets } from '../../shared/secrets/vault-secrets.ts';
import { systemClock } from '../../shared/clock.ts';
import {
  chunk,
  event,
  openStream,
  say,
  startScriptedUpstream,
  type Script as UpstreamScript,
  type ScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { jobOf } from '../support/batch/jobs.ts';
import { makeProcessor } from '../support/batch/make-processor.ts';
import type { Script } from '../support/batch/scripted-agent.ts';
import { createRecordedTelemetry } from '../support/recorded-telemetry.ts';
import { inputOf } from '../support/scripted-model.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function upstream(script: UpstreamScript): Promise<ScriptedUpstream> {
  const started = await startScriptedUpstream(script);
  opened.push(async () => started[Symbol.asyncDispose]());
  return started;
}

/** A service whose secrets come from a vault that the test fills. */
async function serve(
  values: Record<string, string>,
  { agentToml = '', environment = {} }: { agentToml?: string; environment?: object } = {},
) {
  const log: string[] = [];
  const secretTelemetry = createRecordedTelemetry();
  const secrets = createVaultSecrets({
    required: [
      ...requiredSecrets().filter(({ name }) => name !== 'caller-keys'),
      { name: 'caller-keys', accepts: isUsableList },
    ],
    environment: {},
    schedule: { ...DEFAULT_REFRESH_SCHEDULE, forcedGapMs: 0 },
    clock: systemClock,
    random: Math.random,
    telemetry: secretTelemetry,
    reader: {
      async read(name) {
        const value = values[name];
        if (value === undefined) return { kind: 'missing', reason: 'absent' };
        return { kind: 'found', value, version: undefined };
      },
    },
  });
  let now = 1_000_000;
  const service = await createService(
    { AZURE_KEY_VAULT_URL: 'https://dev.vault.azure.net', ...environment },
    { agentToml, secrets, clock: { now: () => now }, writeLog: (line) => void log.push(line) },
  );
  opened.push(async () => {
    await service.close();
    secrets.close();
  });
  return {
    service,
    log,
    secretTelemetry,
    values,
    rotate: () => secrets.refreshNow(),
    laterReport: () => {
      now += 60_000;
      return service.readiness.report();
    },
  };
}

function turn({ telemetry }: Service) {
  const signal = new AbortController().signal;
  return { signal, telemetry, deadlineAt: Number.MAX_SAFE_INTEGER, traceparent: '' };
}

describe('a rotated address of the model', () => {
  it('takes new calls while the calls in flight end on the old one', async () => {
    let finishOld: (() => void) | undefined;
    const old = await upstream(({ response }) => {
      openStream(response, chunk({ content: 'old' }));
      finishOld = () => {
        response.end(event(chunk({}, 'stop')) + event('[DONE]'));
      };
    });
    const next = await upstream(say('new'));
    const { service, values, rotate } = await serve({
      'openai-api-key': 'k',
      'azure-openai-endpoint': new URL(old.baseUrl).origin,
      'azure-openai-deployment': 'd',
    });
    const streaming = service.agent.stream(inputOf('Hi'), turn(service));
    const events = streaming[Symbol.asyncIterator]();
    const firstOld = await events.next();

    values['azure-openai-endpoint'] = new URL(next.baseUrl).origin;
    await rotate();
    const fromNew = await service.agent.run(inputOf('Hi'), turn(service));
    finishOld?.();
    await events.next();
    const lastOld = await events.next();

    expect(firstOld.value).toMatchObject({ type: 'text-delta', text: 'old' });
    expect(fromNew.text).toBe('new');
    expect(lastOld.value).toMatchObject({ type: 'done', result: { text: 'old' } });
    expect([old.requests.length, next.requests.length]).toEqual([1, 1]);
    expect(next.requests[0]?.headers['api-key']).toBe('k');
  });

  it('that cannot be used leaves the last usable one in force', async () => {
    const good = await upstream(say('Hello'));
    const { service, values, rotate, log, laterReport } = await serve({
      'openai-api-key': 'k',
      'azure-openai-endpoint': new URL(good.baseUrl).origin,
      'azure-openai-deployment': 'd',
    });

    values['azure-openai-endpoint'] = 'canary address';
    await rotate();
    const report = await laterReport();

    expect(report.chat).toEqual({ status: 'ready' });
    expect((await service.agent.run(inputOf('Hi'), turn(service))).text).toBe('Hello');
    expect(log.join('\n') + JSON.stringify(report)).not.toContain('canary');
  });

  it('that is deleted makes chat and readiness fail alike until it returns', async () => {
    const good = await upstream(say('Hello'));
    const { service, values, rotate, laterReport } = await serve({
      'openai-api-key': 'k',
      'azure-openai-endpoint': new URL(good.baseUrl).origin,
      'azure-openai-deployment': 'd',
    });

    delete values['azure-openai-deployment'];
    await rotate();
    const missing = await laterReport();
    const refused = service.agent.run(inputOf('Hi'), turn(service));
    await expect(refused).rejects.toMatchObject({ code: 'config_unavailable' });
    values['azure-openai-deployment'] = 'd';
    await rotate();
    const restored = await laterReport();

    expect(missing).toMatchObject({
      status: 'unready',
      chat: { status: 'unready', code: 'config_unavailable' },
    });
    expect(restored.chat).toEqual({ status: 'ready' });
    expect((await service.agent.run(inputOf('Hi'), turn(service))).text).toBe('Hello');
  });
});

describe('a secret that cannot be used (F12)', () => {
  it.each(['k\n2', 'k\t2', ' \n ', '@Microsoft.KeyVault(SecretUri=https://kv.example/s)'])(
    'counts as missing for chat, readiness and batch, which waits for the operator: %j',
    async (unusable) => {
      const good = await upstream(say('Hello'));
      const { service, values, rotate, laterReport } = await serve(
        { 'openai-api-key': unusable },
        { environment: { OPENAI_BASE_URL: good.baseUrl, OPENAI_MODEL: 'm' } },
      );
      const script: Script = async ({ message }) => {
        return (await service.agent.run(inputOf(message), turn(service))).text;
      };
      const { processor, store, sent } = makeProcessor({ script });

      const refused = service.agent.run(inputOf('Hi'), turn(service));
      await expect(refused).rejects.toMatchObject({ code: 'config_unavailable' });
      const missing = await laterReport();
      await processor.process(jobOf('job', ['a', 'b']));
      const waiting = (await store.read('job'))?.results.size;
      values['openai-api-key'] = 'k';
      await rotate();
      // After the pause, which another instance does not know.
      await makeProcessor({ script, store }).processor.process(sent.at(-1)?.job);

      expect(missing.chat).toMatchObject({ status: 'unready', code: 'config_unavailable' });
      expect(waiting).toBe(0);
      const { finals } = await store.progress('job');
      expect(finals.get(0)).toMatchObject({ outcome: 'completed', succeeded: 2, failed: 0 });
    },
  );

  it('is not replaced by the identity where an Azure endpoint has a key', async () => {
    const { service, values, rotate, laterReport } = await serve({
      'openai-api-key': ' \n ',
      'azure-openai-endpoint': 'https://model.example',
      'azure-openai-deployment': 'd',
    });

    const refused = service.agent.run(inputOf('Hi'), turn(service));
    await expect(refused).rejects.toMatchObject({ code: 'config_unavailable' });
    const missing = await laterReport();
    delete values['openai-api-key'];
    await rotate();
    const byIdentity = await laterReport();

    expect(missing.chat).toMatchObject({
      status: 'unready',
      code: 'config_unavailable',
      reason: expect.stringContaining('openai-api-key'),
    });
    expect(byIdentity.chat).toEqual({ status: 'ready' });
  });

  it.each(['[]', '{}', ''])('leaves the last list of caller keys in force: %j', async (emptied) => {
    const hash = createHash('sha256').update('secret').digest('hex');
    const { service, values, rotate, secretTelemetry } = await serve({
      'openai-api-key': 'k',
      'azure-openai-endpoint': 'https://model.example',
      'azure-openai-deployment': 'd',
      'caller-keys': JSON.stringify({ alice: hash }),
    });
    const asAlice = () =>
      service.identify({
        header: (name) => (name === 'x-api-key' ? 'secret' : undefined),
        forwardedFor: '192.0.2.1',
      });
    const before = asAlice();

    values['caller-keys'] = emptied;
    await rotate();

    expect(asAlice()).toEqual(before);
    expect(() => service.identify({ header: () => undefined, forwardedFor: '192.0.2.1' })).toThrow(
      expect.objectContaining({ code: 'unauthorized' }),
    );
    expect(secretTelemetry.lines).toContainEqual(
      expect.objectContaining({
        message: 'secret unusable',
        fields: expect.objectContaining({
          secret: 'caller-keys',
          inForce: 'the last usable value',
        }),
      }),
    );
  });
});

describe('agent.toml', () => {
  it('decides the model that is called', async () => {
    const model = await upstream(say('Hello'));
    const { service, log } = await serve(
      {
        'openai-api-key': 'k',
        'azure-openai-endpoint': new URL(model.baseUrl).origin,
        'azure-openai-deployment': 'd',
      },
      {
        agentToml:
          '[agent]\nname = "clerk"\ninstructions = "Be brief"\n[model]\nmax_output_tokens = 7\ntemperature = 0.5\n[telemetry]\nlog_level = "debug"\n',
      },
    );

    await service.agent.run({ ...inputOf('Hi'), maxOutputTokens: 100 }, turn(service));
    service.telemetry.debug('seen');

    const body = model.requests[0]?.body;
    expect(body).toMatchObject({
      temperature: 0.5,
      messages: [{ role: 'system', content: 'Be brief' }, { role: 'user' }],
    });
    expect(body?.['max_completion_tokens'] ?? body?.['max_tokens']).toBe(7);
    expect(JSON.parse(log.at(-1) ?? '{}')).toMatchObject({ agent: 'clerk', message: 'seen' });
  });

  it('with a mistake stops the start', async () => {
    const starting = createService({ OPENAI_API_KEY: 'k' }, { agentToml: '[agent]\nnmae = "x"' });

    await expect(starting).rejects.toThrow(ConfigError);
    await expect(starting).rejects.toThrow('agent.toml line 2: agent.nmae');
  });
});
