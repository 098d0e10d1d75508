import { describe, expect, it } from 'vitest';
import { runHook, startFakeAzure, type FakeAzure } from './support/fake-azure.ts';

function startAzure(registrationState = 'Registered'): Promise<FakeAzure> {
  return startFakeAzure({
    geoRegions: () => ({ value: [{ name: 'Sweden Central' }, { name: 'East US' }] }),
    'Microsoft.App?': () => ({ registrationState }),
  });
}

function planOf(azure: FakeAzure, env: Readonly<Record<string, string>> = {}) {
  return runHook('check-plan.js', {
    AZURE_ARM_URL: azure.url,
    AZURE_SUBSCRIPTION_ID: 'sub',
    AZURE_LOCATION: 'swedencentral',
    ALERT_EMAIL: 'oncall@example.com',
    ...env,
  });
}

describe('the check before provisioning', () => {
  it('accepts valid settings without a warning', async () => {
    const { code, output } = await planOf(await startAzure(), {
      VNET_ENABLED: 'true',
      EXTRA_APP_SETTINGS: 'AGENT__LIMITS__HEARTBEAT_MS=5000;AzureWebJobs.batch.Disabled=true',
      CORS_ORIGINS: 'https://app.example.com, http://localhost:3000',
      ALERT_SMS: '46 701234567',
      ALERT_WEBHOOK_URL: 'https://hooks.example.com/x',
      MONTHLY_BUDGET: '100',
      BUDGET_START: '2026-12-01',
    });

    expect(output).toBe('plan checked\n');
    expect(code).toBe(0);
  });

  it('lists the supported regions when the chosen one is not supported', async () => {
    const { code, output } = await planOf(await startAzure(), { AZURE_LOCATION: 'moonbase' });

    expect(output).toContain('moonbase does not offer Flex Consumption');
    expect(output).toContain('eastus, swedencentral');
    expect(code).toBe(1);
  });

  it('requires the provider of the private network only with a private network', async () => {
    const azure = await startAzure('NotRegistered');

    const plain = await planOf(azure);
    const networked = await planOf(azure, { VNET_ENABLED: 'true' });

    expect(plain.code).toBe(0);
    expect(networked.code).toBe(1);
    expect(networked.output).toContain('az provider register --namespace Microsoft.App');
  });

  it.each([
    ['true', false, 1],
    ['', true, 1],
    ['true', true, 0],
    ['', false, 0],
  ])(
    'refuses to change the zones of an existing environment: "%s", now %s',
    async (wanted, current, expected) => {
      const azure = await startFakeAzure({
        geoRegions: () => ({ value: [{ name: 'Sweden Central' }] }),
        'rg-prod/providers/Microsoft.Web/serverfarms': () => ({
          value: [{ properties: { zoneRedundant: current } }],
        }),
      });

      const { code, output } = await planOf(azure, {
        AZURE_ENV_NAME: 'prod',
        ALWAYS_READY: '2',
        ZONE_REDUNDANT: wanted,
      });

      expect(code).toBe(expected);
      expect(output.includes('docs/runbooks/blue-green.md')).toBe(expected === 1);
    },
  );

  it('lets a new environment choose its zones', async () => {
    const { code } = await planOf(await startAzure(), {
      AZURE_ENV_NAME: 'new',
      ALWAYS_READY: '2',
      ZONE_REDUNDANT: 'true',
    });

    expect(code).toBe(0);
  });

  it('warns that alerts have no receiver', async () => {
    const { code, output } = await planOf(await startAzure(), { ALERT_EMAIL: '' });

    expect(output).toContain('warning: ALERT_EMAIL is empty');
    expect(code).toBe(0);
  });

  it.each([
    ['', 'AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL=true', true],
    ['', 'A=1;agent__callers__trust_entra_principal=TRUE ', true],
    ['', 'AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL=false', false],
    ['an-id', 'AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL=true', false],
  ])(
    'warns of a trusted principal that any client can forge: client id "%s", %s',
    async (clientId, settings, isWarned) => {
      const azure = await startAzure();

      const { code, output } = await planOf(azure, {
        AUTH_CLIENT_ID: clientId,
        EXTRA_APP_SETTINGS: settings,
      });

      expect(output.includes('any client can forge it')).toBe(isWarned);
      expect(code).toBe(0);
    },
  );

  it('reports all mistakes at once, by name and not by value', async () => {
    const { code, output } = await planOf(await startAzure(), {
      AZURE_LOCATION: 'moonbase',
      ZONE_REDUNDANT: 'true',
      CORS_ORIGINS: 'https://app.example.com,*',
      RUNBOOK_BASE_URL: 'https://example.com/repo',
      UPSTASH_REDIS_REST_TOKEN: 'very-secret',
      ALERT_SMS: '+46701234567',
      ALERT_WEBHOOK_URL: 'http://very-secret.example.com',
      MONTHLY_BUDGET: '100',
      BUDGET_START: '2026-12-15',
      AUTH_ALLOWED_APPLICATIONS: 'an-id',
      AUTH_APP_ROLE: 'Agent.Call',
      EXTRA_APP_SETTINGS: 'A="quoted";WEBSITE_RUN_FROM_PACKAGE=1',
    });

    for (const name of [
      'AZURE_LOCATION',
      'ALWAYS_READY',
      'CORS_ORIGINS',
      'RUNBOOK_BASE_URL',
      'ALERT_SMS must',
      'ALERT_WEBHOOK_URL must',
      'MONTHLY_BUDGET needs BUDGET_START',
      'AUTH_ALLOWED_APPLICATIONS needs AUTH_CLIENT_ID',
      'AUTH_APP_ROLE needs AUTH_CLIENT_ID',
    ]) {
      expect(output).toContain(name);
    }
    expect(output).toContain('UPSTASH_REDIS_REST_TOKEN needs');
    expect(output).toContain('without quotes');
    expect(output).toContain('must not contain WEBSITE_RUN_FROM_PACKAGE');
    expect(output).not.toContain('very-secret');
    expect(code).toBe(1);
  });

  it('rejects a key of a fallback endpoint in the settings', async () => {
    const azure = await startAzure();
    const fallback = { name: 'b', baseUrl: 'https://b.example.com/v1', model: 'm' };

    const named = await planOf(azure, {
      MODEL_FALLBACKS: JSON.stringify([{ ...fallback, apiKeySecret: 'b-key' }]),
    });
    const open = await planOf(azure, {
      MODEL_FALLBACKS: JSON.stringify([{ ...fallback, apiKey: 'very-secret' }]),
    });

    expect(named.code).toBe(0);
    expect(open.code).toBe(1);
    expect(open.output).toContain('apiKeySecret');
    expect(open.output).not.toContain('very-secret');
  });

  it('does not fail while Azure does not list the regions', async () => {
    const silent = await startFakeAzure({});
    const empty = await startFakeAzure({ geoRegions: () => ({ value: [] }) });

    for (const azure of [silent, empty]) {
      const { code, output } = await planOf(azure);

      expect(output).toContain('not checked: the region');
      expect(code).toBe(0);
    }
  });

  it('does not call Azure before subscription and location are chosen', async () => {
    const azure = await startAzure();

    const { code, output } = await planOf(azure, { AZURE_LOCATION: '' });

    expect(output).toContain('not checked');
    expect(code).toBe(0);
    expect(azure.asked).toEqual([]);
  });
});
