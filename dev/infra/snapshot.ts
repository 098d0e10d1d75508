import type { Prediction } from './bicep-cli.ts';

/** The committed prediction: a change of rights or settings shows in its review. */
export const SNAPSHOT = 'infra/main.snapshot.json';

/** Every option of the templates that adds resources. */
export const EVERY_OPTION = {
  principalId: '22222222-2222-2222-2222-222222222222',
  principalType: 'User',
  vnetEnabled: true,
  zoneRedundant: true,
  alwaysReadyHttp: 2,
  corsOrigins: 'https://app.example.com',
  authClientId: '11111111-1111-1111-1111-111111111111',
  authAllowedApplications: '33333333-3333-3333-3333-333333333333',
  promptShields: true,
  frontDoor: true,
  frontDoorSku: 'Premium_AzureFrontDoor',
  frontDoorOtherHost: 'other.azurewebsites.net',
  frontDoorOtherWeight: 10,
  upstashRedisUrl: 'https://redis.example.com',
  upstashRedisToken: 'a-token',
  historyEncryptionKey: 'a-key',
  alertEmail: 'oncall@example.com, second@example.com',
  alertSms: '46 701234567',
  alertWebhookUrl: 'https://hooks.example.com/oncall',
  workingHoursEmail: 'team@example.com',
  monthlyBudget: 100,
  budgetStart: '2026-12-01',
} as const;

/** The text of the snapshot. The panels of the workbook are files of their own, so they are left out. */
export function toSnapshot({ resources }: Prediction): string {
  const shown = resources.map(({ id, type, properties = {} }) => {
    const { serializedData: _panels, ...rest } = properties;
    return { id, type, properties: rest };
  });
  const sorted = shown.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return `${JSON.stringify(sorted, undefined, 2)}\n`;
}
