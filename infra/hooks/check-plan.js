// Runs before azd provision: reports early what would fail late.
import { ArmError, callArm, azdToken } from './support/azure.js';
import { isOn, planProblems, planWarnings } from './support/plan-problems.js';
import { runHook, log, setting } from './support/terminal.js';

const SITES_VERSION = '2024-11-01';
const PROVIDERS_VERSION = '2021-04-01';

await runHook('check-plan', async () => {
  const problems = [...planProblems(setting), ...(await checkAzure())];
  for (const warning of planWarnings(setting)) log(`warning: ${warning}`);
  if (problems.length > 0)
    throw new Error(`the settings cannot be deployed:\n- ${problems.join('\n- ')}`);
  log('plan checked');
});

async function checkAzure() {
  const subscription = setting('AZURE_SUBSCRIPTION_ID');
  const location = setting('AZURE_LOCATION');
  // On the first run azd asks for both only after this hook.
  if (subscription === undefined || location === undefined) {
    log('not checked: the region, because subscription and location are not chosen yet');
    return [];
  }
  const target = { subscription, token: await azdToken() };
  return [
    ...(await orSkip('the region', () => checkRegion(location, target))),
    ...(await orSkip('the provider', () => checkNetwork(target))),
    ...(await orSkip('the zones', () => checkZones(target))),
  ];
}

/** A check that Azure does not answer stops no deployment: provisioning reports the problem. */
async function orSkip(what, check) {
  try {
    return await check();
  } catch (error) {
    log(`not checked: ${what}, because ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

async function checkRegion(location, { subscription, token }) {
  const { value } = await callArm(
    `/subscriptions/${subscription}/providers/Microsoft.Web/geoRegions?sku=FlexConsumption&api-version=${SITES_VERSION}`,
    { token },
  );
  const regions = value.map(({ name }) => shortName(name));
  if (regions.length === 0) throw new Error('Azure listed no region');
  if (regions.includes(shortName(location))) return [];
  const list = regions.toSorted().join(', ');
  return [`AZURE_LOCATION ${location} does not offer Flex Consumption; these do: ${list}`];
}

async function checkNetwork({ subscription, token }) {
  if (!isOn(setting('VNET_ENABLED'))) return [];
  const { registrationState } = await callArm(
    `/subscriptions/${subscription}/providers/Microsoft.App?api-version=${PROVIDERS_VERSION}`,
    { token },
  );
  if (registrationState === 'Registered') return [];
  return [
    'VNET_ENABLED needs the provider Microsoft.App: run `az provider register --namespace Microsoft.App --wait`',
  ];
}

/** Neither a plan nor a storage account moves into zones: both must be created in them. */
async function checkZones({ subscription, token }) {
  const environment = setting('AZURE_ENV_NAME');
  if (environment === undefined) return [];
  const plans = await plansOf(
    `/subscriptions/${subscription}/resourceGroups/rg-${environment}`,
    token,
  );
  const wanted = isOn(setting('ZONE_REDUNDANT'));
  const other = plans.find(({ properties }) => Boolean(properties.zoneRedundant) !== wanted);
  return other === undefined
    ? []
    : [
        `ZONE_REDUNDANT cannot be changed to ${wanted} on an existing environment: create a second environment with it, and move the traffic (docs/runbooks/blue-green.md)`,
      ];
}

async function plansOf(group, token) {
  try {
    const { value } = await callArm(
      `${group}/providers/Microsoft.Web/serverfarms?api-version=${SITES_VERSION}`,
      { token },
    );
    return value;
  } catch (error) {
    // The resource group does not exist before the first provisioning.
    if (error instanceof ArmError && error.status === 404) return [];
    throw error;
  }
}

function shortName(region) {
  return region.replaceAll(/\s/g, '').toLowerCase();
}
