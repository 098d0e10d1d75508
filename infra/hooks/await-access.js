// Runs after azd provision. Azure creates role assignments at once, but they take effect later.
// The first upload and the first start of the app need them.
import { callArm, azdToken } from './support/azure.js';
import { delay, required, runHook, log, seconds } from './support/terminal.js';

/** The app cannot start without Blob Data Owner, Queue Data and Table Data Contributor. */
const ROLES = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3',
];

await runHook('await-access', async () => {
  const spreadMs = seconds('ROLE_SPREAD_SECONDS', 120) * 1000;
  const deadline = Date.now() + seconds('ROLE_LIST_SECONDS', 60) * 1000;
  const token = await azdToken();
  for (;;) {
    const created = await rolesOfApp(token);
    const missing = ROLES.filter((role) => !created.has(role));
    if (missing.length === 0) {
      await waitUntil(Math.max(...created.values()) + spreadMs);
      return;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `the app's identity lacks ${missing.length} of ${ROLES.length} roles on the storage account: run azd provision again`,
      );
    }
    await delay(Math.min(5000, spreadMs));
  }
});

/** The creation time of each role assignment on the storage account, by role id. */
async function rolesOfApp(token) {
  const account = `/subscriptions/${required('AZURE_SUBSCRIPTION_ID')}/resourceGroups/${required('AZURE_RESOURCE_GROUP')}/providers/Microsoft.Storage/storageAccounts/${required('AZURE_STORAGE_ACCOUNT')}`;
  const filter = encodeURIComponent(`principalId eq '${required('AZURE_IDENTITY_PRINCIPAL_ID')}'`);
  const { value } = await callArm(
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
    log('access: role assignments are in effect');
    return;
  }
  log(`access: waiting ${Math.ceil(waitMs / 1000)} s for new role assignments to take effect`);
  await delay(waitMs);
}
