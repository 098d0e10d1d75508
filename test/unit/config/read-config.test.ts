import { describe, expect, it } from 'vitest';
import { listAgentKeys } from '../../../shared/config/agent-keys.ts';
import { ConfigError, type ConfigProblem } from '../../../shared/config/config-error.ts';
import { createEnvironmentSecrets, type Secrets } from '../../../shared/secrets/secrets.ts';
import { readConfig, type ConfigInputs } from '../../../shared/config/read-config.ts';
import { requiredSecrets } from '../../../shared/config/read-variables.ts';
import { DEFAULT_RESILIENCE } from '../../../shared/resilience/retry-policy.ts';

const KEY = { OPENAI_API_KEY: 'canary-key' };

function problemsOf(
  environment: Record<string, string>,
  inputs: ConfigInputs = {},
): readonly ConfigProblem[] {
  try {
    readConfig(environment, inputs);
    return [];
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems;
    throw thrown;
  }
}

/** Secrets as if a vault had returned them. */
function vaultWith(values: Record<string, string>): Secrets {
  const none = createEnvironmentSecrets({ required: requiredSecrets(), environment: {} });
  return {
    ...none,
    get: (name) => values[name],
    sourceOf: (name) => (name in values ? 'key-vault' : 'none'),
    missingReason: (name) => (name in values ? undefined : 'absent'),
  };
}

describe('the configuration', () => {
  it('is complete with a key alone', () => {
    const { settings, sources } = readConfig(KEY);

    expect(settings.limits.answerDeadlineMs).toBe(60_000);
    expect(settings.telemetry.logLevel).toBe('info');
    expect(sources.get('limits.answer_deadline_ms')).toBe('default');
    expect(sources.get('OPENAI_API_KEY')).toBe('environment');
    expect(sources.get('AZURE_OPENAI_ENDPOINT')).toBe('unset');
  });

  it('has the same default time limits as the model calls', () => {
    const {
      maxOutputTokens: _tokens,
      defaultOutputTokens: _default,
      temperature: _heat,
      ...patience
    } = readConfig(KEY).settings.model;

    expect(patience).toEqual(DEFAULT_RESILIENCE);
  });

  it('takes a value from the environment before agent.toml before the default', () => {
    const agentToml = '[limits]\nheartbeat_ms = 1_000\nanswer_deadline_ms = 2_000\n';

    const { settings, sources } = readConfig(
      { ...KEY, AGENT__LIMITS__HEARTBEAT_MS: ' 3000 ', AGENT__LIMITS__ANSWER_DEADLINE_MS: ' ' },
      { agentToml },
    );

    expect(settings.limits).toMatchObject({ heartbeatMs: 3_000, answerDeadlineMs: 2_000 });
    expect(sources.get('limits.heartbeat_ms')).toBe('environment');
    expect(sources.get('limits.answer_deadline_ms')).toBe('agent.toml');
    expect(sources.get('limits.max_request_bytes')).toBe('default');
  });

  it('overrides every key of agent.toml by its variable', () => {
    const variables = listAgentKeys().map(({ variable }) => variable);

    expect(new Set(variables).size).toBe(variables.length);
    expect(variables).toContain('AGENT__MODEL__MAX_ATTEMPTS');
  });

  it('takes secrets from the vault before the environment', () => {
    const secrets = vaultWith({ 'openai-api-key': 'from-vault' });

    const { settings, sources } = readConfig(
      { ...KEY, AZURE_KEY_VAULT_URL: 'https://dev.vault.azure.net/' },
      { secrets },
    );

    expect(settings.openAiApiKey).toBe('from-vault');
    expect(settings.azureKeyVaultUrl).toBe('https://dev.vault.azure.net');
    expect(sources.get('OPENAI_API_KEY')).toBe('Key Vault');
  });

  it('reports no missing secret before the vault that may hold it was read', () => {
    const environment = { AZURE_KEY_VAULT_URL: 'https://dev.vault.azure.net' };

    expect(problemsOf(environment)).toEqual([]);
    expect(problemsOf(environment, { secrets: vaultWith({}) })).toEqual([
      {
        setting: 'OPENAI_API_KEY',
        expected:
          'a key, or AZURE_OPENAI_ENDPOINT for Azure OpenAI by managed identity (Key Vault secret openai-api-key: absent; environment: unset)',
      },
    ]);
  });

  it('names the secret of the vault that holds an unusable address', () => {
    const secrets = vaultWith({ 'azure-openai-endpoint': 'canary', 'openai-api-key': 'k' });

    const [problem] = problemsOf({}, { secrets });

    expect(problem?.setting).toBe('AZURE_OPENAI_ENDPOINT (Key Vault secret azure-openai-endpoint)');
  });

  it('refuses a vault that is not reached over https', () => {
    const [problem] = problemsOf({ ...KEY, AZURE_KEY_VAULT_URL: 'http://127.0.0.1:1234' });

    expect(problem).toEqual({
      setting: 'AZURE_KEY_VAULT_URL',
      expected: 'an https URL without credentials, query or fragment',
    });
  });
});
