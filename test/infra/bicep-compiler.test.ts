import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { requireTool } from '../support/required-tools.ts';
import {
  compileBicep,
  compileEdited,
  predictDeployment,
  restoreBicep,
  type Edit,
  type Prediction,
} from '../../dev/infra/bicep-cli.ts';
import { EVERY_OPTION, SNAPSHOT, toSnapshot } from '../../dev/infra/snapshot.ts';

const MAIN = 'infra/main.bicep';
const APP = 'infra/modules/app.bicep';
const STORAGE = 'infra/modules/storage.bicep';
const TRUST = 'AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL';
const CLIENT_ID = EVERY_OPTION.authClientId;

interface Mistake extends Edit {
  readonly what: string;
  readonly found: string;
}

/** Most are only warnings of the compiler, which then ends with exit code 0. */
const MISTAKES: readonly Mistake[] = [
  {
    what: 'an unknown property',
    path: APP,
    from: 'httpsOnly: true',
    to: 'httpsOnly: true\n    httpOnly: true',
    found: 'BCP037: The property "httpOnly"',
  },
  {
    what: 'a removed suppression',
    path: APP,
    from: '#disable-next-line BCP037',
    to: '',
    found: 'BCP037: The property "siteUpdateStrategy"',
  },
  {
    what: 'a string for a switch',
    path: STORAGE,
    from: 'allowSharedKeyAccess: false',
    to: "allowSharedKeyAccess: 'false'",
    found: 'BCP036: The property "allowSharedKeyAccess"',
  },
  {
    what: 'an unknown API version',
    path: STORAGE,
    from: 'queueServices@2025-06-01',
    to: 'queueServices@2099-01-01',
    found: 'BCP081: ',
  },
  {
    what: 'a default for a secret',
    path: MAIN,
    from: "param upstashRedisToken string = ''",
    to: "param upstashRedisToken string = 'planted'",
    found: 'secure-parameter-default: ',
  },
  {
    what: 'a secret in an output',
    path: MAIN,
    from: 'output AZURE_RESOURCE_GROUP string = rg.name',
    to: 'output AZURE_RESOURCE_GROUP string = upstashRedisToken',
    found: 'outputs-should-not-contain-secrets: ',
  },
  {
    what: 'a name that is not declared',
    path: MAIN,
    from: 'empty(openAiLocation)',
    to: 'empty(openAiRegion)',
    found: 'BCP057: The name "openAiRegion"',
  },
  {
    what: 'a region in the text',
    path: MAIN,
    from: "name: 'rg-${environmentName}'\n  location: location",
    to: "name: 'rg-${environmentName}'\n  location: 'westeurope'",
    found: 'no-hardcoded-location: ',
  },
  {
    what: 'a parameter that nothing reads',
    path: MAIN,
    from: 'param chatPage bool = false',
    to: "param chatPage bool = false\nparam chatTitle string = ''",
    found: 'no-unused-params: Parameter "chatTitle"',
  },
  {
    what: 'a variable that nothing reads',
    path: MAIN,
    from: 'var aiEnabled',
    to: "var idle = 'x'\nvar aiEnabled",
    found: 'no-unused-vars: Variable "idle"',
  },
  {
    what: 'a module without one of its parameters',
    path: MAIN,
    from: "    planName: 'plan-${token}'\n",
    to: '',
    found:
      'BCP035: The specified "object" declaration is missing the following required properties: "planName"',
  },
];

function countRoles({ resources }: Prediction): number {
  return resources.filter(({ type }) => type === 'Microsoft.Authorization/roleAssignments').length;
}

function appSettings({ resources }: Prediction): Readonly<Record<string, unknown>> {
  return resources.find(({ id }) => id.endsWith('/config/appsettings'))?.properties ?? {};
}

const siteAuthSchema = z.object({
  platform: z.object({ enabled: z.boolean() }),
  globalValidation: z.object({ requireAuthentication: z.boolean() }),
  identityProviders: z.object({
    azureActiveDirectory: z.object({ validation: z.unknown() }).optional(),
  }),
});

function easyAuth({ resources }: Prediction): z.infer<typeof siteAuthSchema> {
  const found = resources.find(({ id }) => id.endsWith('/config/authsettingsV2'));
  return siteAuthSchema.parse(found?.properties);
}

function corsOrigins({ resources }: Prediction): unknown {
  const site = resources.find(({ type }) => type === 'Microsoft.Web/sites');
  return z
    .object({ siteConfig: z.object({ cors: z.object({ allowedOrigins: z.unknown() }) }) })
    .parse(site?.properties).siteConfig.cors.allowedOrigins;
}

describe('the Bicep compiler', requireTool('the Bicep compiler'), () => {
  let mistaken: readonly string[];
  let plain: Prediction;
  let full: Prediction;

  beforeAll(async () => {
    await restoreBicep();
    [mistaken, plain, full] = await Promise.all([
      compileEdited(MISTAKES),
      predictDeployment({}),
      predictDeployment(EVERY_OPTION),
    ]);
  }, 360_000);

  it('has nothing to say about the templates', async () => {
    expect(await compileBicep(MAIN)).toEqual([]);
  });

  it.each(MISTAKES)('finds $what', ({ path, found }) => {
    const lines = mistaken.filter((line) => line.includes(`/${path}(`) && line.includes(found));

    expect(lines, mistaken.join('\n')).not.toEqual([]);
  });

  it('predicts each resource of a deployment', () => {
    expect(plain.diagnostics).toEqual([]);
    expect(full.diagnostics).toEqual([]);
    expect(plain.resources.length).toBeGreaterThan(50);
    expect(full.resources.length).toBeGreaterThan(plain.resources.length);
  });

  it('predicts what the committed snapshot shows; `node dev/write-infra-snapshot.ts` writes it', () => {
    expect(toSnapshot(full)).toBe(readFileSync(SNAPSHOT, 'utf8'));
  });

  it('predicts that alerts of severity 0 and 1 reach the people on call, and others wait', () => {
    const rules = full.resources.filter(({ type }) => type.endsWith('/scheduledQueryRules'));

    const groups = rules.map(({ properties }) => ({
      isUrgent: Number(properties?.['severity']) < 2,
      group: JSON.stringify(properties?.['actions']).match(/ag-[a-z-]+/)?.[0],
    }));

    expect(groups.length).toBeGreaterThan(15);
    for (const { isUrgent, group } of groups) {
      expect(group).toBe(isUrgent ? 'ag-oncall' : 'ag-working-hours');
    }
  });

  it('predicts every receiver, and a budget where one is set', () => {
    const oncall = full.resources.find(({ id }) => id.endsWith('/ag-oncall'));
    const budgets = [full, plain].map(
      ({ resources }) => resources.filter(({ type }) => type.endsWith('/budgets')).length,
    );

    expect(oncall?.properties).toMatchObject({
      emailReceivers: [
        { emailAddress: 'oncall@example.com' },
        { emailAddress: 'second@example.com' },
      ],
      smsReceivers: [{ countryCode: '46', phoneNumber: '701234567' }],
      // The compiler does not evaluate secrets.
      webhookReceivers: expect.stringContaining("parameters('webhookUrl')"),
    });
    expect(budgets).toEqual([1, 0]);
  });

  it('predicts the six roles of the app, five more for a person who deploys, and one for Prompt Shields', () => {
    expect(countRoles(plain)).toBe(6);
    expect(countRoles(full)).toBe(12);
  });

  it('predicts that the app trusts the principal of Entra ID exactly where Easy Auth is on', () => {
    expect(easyAuth(full)).toMatchObject({
      platform: { enabled: true },
      globalValidation: { requireAuthentication: true },
    });
    expect(appSettings(full)).toMatchObject({ [TRUST]: 'true' });
    expect(easyAuth(plain)).toMatchObject({
      platform: { enabled: false },
      globalValidation: { requireAuthentication: false },
      identityProviders: {},
    });
    expect(Object.keys(appSettings(plain))).toContain('AZURE_CLIENT_ID');
    expect(Object.keys(appSettings(plain))).not.toContain(TRUST);
    expect([full, plain].map((one) => appSettings(one)['ROUTE_AUTH_LEVEL'])).toEqual([
      'anonymous',
      'function',
    ]);
  });

  it('predicts that emptied settings take Easy Auth and foreign origins back', () => {
    expect(corsOrigins(full)).toEqual(['https://app.example.com']);
    expect(corsOrigins(plain)).toEqual([]);
    expect(easyAuth(plain).platform.enabled).toBe(false);
  });

  it('predicts that only the named applications may call', () => {
    expect(easyAuth(full).identityProviders.azureActiveDirectory?.validation).toMatchObject({
      defaultAuthorizationPolicy: {
        allowedApplications: [EVERY_OPTION.authAllowedApplications],
      },
    });
  });

  it('predicts that the app knows the capacity of the model that is deployed with it', () => {
    expect(appSettings(plain)).toMatchObject({ AGENT__MODEL__CAPACITY_TOKENS_PER_MINUTE: '30000' });
  });

  it('predicts that an extra setting cannot take that trust away', async () => {
    const prediction = await predictDeployment({
      authClientId: CLIENT_ID,
      extraAppSettings: `${TRUST}=false;AGENT__BATCH__CONCURRENCY=4`,
    });

    expect(appSettings(prediction)).toMatchObject({
      [TRUST]: 'true',
      AGENT__BATCH__CONCURRENCY: '4',
    });
  });
});
