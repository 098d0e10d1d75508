// Before azd provisions: says early what would fail late.
import { askArm, azdToken } from './support/azure.js';
import { isOn, planProblems, planWarnings } from './support/plan-problems.js';
import { runHook, say, setting } from './support/terminal.js';

const SITES_VERSION = '2024-11-01';
const PROVIDERS_VERSION = '2021-04-01';

await runHook('check-plan', async () => {
  const problems = [...planProblems(setting), ...(await askAzure())];
  for (const warning of planWarnings(setting)) say(`warning: ${warning}`);
  if (problems.length > 0) throw new Error(`the plan cannot work:\n- ${problems.join('\n- ')}`);
  say('plan checked');
});

async function askAzure() {
  const subscription = setting('AZURE_SUBSCRIPTION_ID');
  const location = setting('AZURE_LOCATION');
  // On the very first run azd asks for them only after this hook.
  if (subscription === undefined || location === undefined) {
    say('not checked: what the region offers, as subscription and location are not chosen yet');
    return [];
  }
  const place = { subscription, token: await azdToken() };
  return [
    ...(await unlessUnknown('the region', () => checkRegion(location, place))),
    ...(await unlessUnknown('the provider', () => checkNetwork(place))),
  ];
}

/** Where Azure does not say, provisioning will: a check that cannot be made stops nobody. */
async function unlessUnknown(what, check) {
  try {
    return await check();
  } catch (error) {
    say(`not checked: ${what}, as ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

async function checkRegion(location, { subscription, token }) {
  const { value } = await askArm(
    `/subscriptions/${subscription}/providers/Microsoft.Web/geoRegions?sku=FlexConsumption&api-version=${SITES_VERSION}`,
    { token },
  );
  const regions = value.map(({ name }) => shortName(name));
  if (regions.length === 0) throw new Error('Azure named no region');
  if (regions.includes(shortName(location))) return [];
  const list = regions.toSorted().join(', ');
  return [`AZURE_LOCATION ${location} does not offer Flex Consumption; these do: ${list}`];
}

async function checkNetwork({ subscription, token }) {
  if (!isOn(setting('VNET_ENABLED'))) return [];
  const { registrationState } = await askArm(
    `/subscriptions/${subscription}/providers/Microsoft.App?api-version=${PROVIDERS_VERSION}`,
    { token },
  );
  if (registrationState === 'Registered') return [];
  return [
    'VNET_ENABLED needs the provider Microsoft.App: run `az provider register --namespace Microsoft.App --wait`',
  ];
}

function shortName(region) {
  return region.replaceAll(/\s/g, '').toLowerCase();
}
