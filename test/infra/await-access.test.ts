import { describe, expect, it } from 'vitest';
import { runHook, startFakeAzure, type FakeAzure } from './support/fake-azure.ts';

const ROLES = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3',
];

function assignments(roles: readonly string[], ageMs: number) {
  const createdOn = new Date(Date.now() - ageMs).toISOString();
  return {
    value: roles.map((role) => ({
      properties: { roleDefinitionId: `/subscriptions/sub/roleDefinitions/${role}`, createdOn },
    })),
  };
}

function awaitAccess(azure: FakeAzure, env: Readonly<Record<string, string>> = {}) {
  return runHook('await-access.js', {
    AZURE_ARM_URL: azure.url,
    AZURE_SUBSCRIPTION_ID: 'sub',
    AZURE_RESOURCE_GROUP: 'rg',
    AZURE_STORAGE_ACCOUNT: 'st',
    AZURE_IDENTITY_PRINCIPAL_ID: 'the-app',
    ...env,
  });
}

describe('the hook after provisioning', () => {
  it('does not wait for roles that were assigned long ago', async () => {
    const azure = await startFakeAzure({ roleAssignments: () => assignments(ROLES, 3_600_000) });

    const { code, output } = await awaitAccess(azure);

    expect(output).toContain('role assignments are in effect');
    expect(code).toBe(0);
    expect(azure.asked[0]).toContain('storageAccounts/st/providers/Microsoft.Authorization');
    expect(azure.asked[0]).toContain("principalId eq 'the-app'");
  });

  it('waits until the newest role assignment is in effect', async () => {
    const azure = await startFakeAzure({ roleAssignments: () => assignments(ROLES, 0) });

    const { code, output } = await awaitAccess(azure, { ROLE_SPREAD_SECONDS: '1' });

    expect(output).toMatch(/waiting \d+ s for new role assignments/);
    expect(code).toBe(0);
  });

  it('lists the roles again while one is missing', async () => {
    let looks = 0;
    const azure = await startFakeAzure({
      roleAssignments: () => assignments((looks += 1) < 3 ? ROLES.slice(1) : ROLES, 60_000),
    });

    const { code } = await awaitAccess(azure, { ROLE_SPREAD_SECONDS: '0.05' });

    expect(code).toBe(0);
    expect(looks).toBe(3);
  });

  it('fails the deployment when a role stays missing', async () => {
    const azure = await startFakeAzure({
      roleAssignments: () => assignments(ROLES.slice(0, 2), 0),
    });

    const { code, output } = await awaitAccess(azure, {
      ROLE_LIST_SECONDS: '0.2',
      ROLE_SPREAD_SECONDS: '0.05',
    });

    expect(output).toContain('lacks 1 of 3 roles');
    expect(code).toBe(1);
  });

  it('names a missing setting', async () => {
    const azure = await startFakeAzure({});

    const { code, output } = await awaitAccess(azure, { AZURE_STORAGE_ACCOUNT: '' });

    expect(output).toContain('AZURE_STORAGE_ACCOUNT is not set');
    expect(code).toBe(1);
  });
});
