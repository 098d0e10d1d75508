// After azd has provisioned: role assignments are accepted at once and believed a little later.
// The first upload and the first start of the app must not race them.
import { askArm, azdToken } from './support/azure.js';
import { pause, required, runHook, say, seconds } from './support/terminal.js';

/** What the app cannot start without: Blob Data Owner, Queue Data and Table Data Contributor. */
const ROLES = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3',
];

await runHook('await-access', async () => {
  const spreadMs = seconds('ROLE_SPREAD_SECONDS', 120) * 1000;
  const giveUpAt = Date.now() + seconds('ROLE_LIST_SECONDS', 60) * 1000;
  const token = await azdToken();
  for (;;) {
    const created = await rolesOfApp(token);
    const missing = ROLES.filter((role) => !created.has(role));
    if (missing.length === 0) {
      await waitUntil(Math.max(...created.values()) + spreadMs);
      return;
    }
    if (Date.now() > giveUpAt) {
      throw new Error(
        `the app's identity lacks ${missing.length} of ${ROLES.length} roles on the storage account: run azd provision again`,
      );
    }
    await pause(Math.min(5000, spreadMs));
  }
});

/** When each of its roles on the storage was given, by role id. */
async function rolesOfApp(token) {
  const account = `/subscriptions/${required('AZURE_SUBSCRIPTION_ID')}/resourceGroups/${required('AZURE_RESOURCE_GROUP')}/providers/Microsoft.Storage/storageAccounts/${required('AZURE_STORAGE_ACCOUNT')}`;
  const filter = encodeURIComponent(`principalId eq '${required('AZURE_IDENTITY_PRINCIPAL_ID')}'`);
  const { value } = await askArm(
    `${account}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=${filter}`,
    { token },
  );
  const ours = value
    .map(({ properties }) => [
      properties.roleDefinitionId.split('/').at(-1),
      Date.parse(properties.createdOn),
    ])
    .filter(([role]) => ROLES.includes(role));
  return new Map(ours);
}

async function waitUntil(time) {
  const waitMs = time - Date.now();
  if (waitMs <= 0) {
    say('access: roles are in force');
    return;
  }
  say(`access: waiting ${Math.ceil(waitMs / 1000)} s for new roles to be believed`);
  await pause(waitMs);
}
