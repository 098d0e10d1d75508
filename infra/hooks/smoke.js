// Runs after azd deploy, which does not test the app: GET /health, /ready and /health/ready,
// POST /api/chat, and one item through the batch.
import { callArm, azdToken } from './support/azure.js';
import { checkBatch } from './support/batch.js';
import { createCaller } from './support/call.js';
import { CHECKS } from './support/checks.js';
import { delay, required, runHook, log, seconds, setting } from './support/terminal.js';

const RETRY_MS = 2000;

await runHook('smoke', async () => {
  if (setting('SMOKE_SKIP') === 'true') {
    log('smoke: skipped, because SMOKE_SKIP is true');
    return;
  }
  const url = required('SERVICE_API_URL');
  const withinMs = seconds('SMOKE_SECONDS', 300) * 1000;
  const deadline = Date.now() + withinMs;
  const key = await findKey(deadline);
  await findBearerToken(url, key);
  const caller = createCaller(url, key);
  const batchMs = seconds('SMOKE_BATCH_SECONDS', 120) * 1000;
  const checks = [
    ...CHECKS,
    { name: 'batch round trip', run: () => checkBatch(caller, { withinMs: batchMs }), once: true },
  ];
  const failures = [];
  for (const check of checks) {
    const failure = await attempt(check, { caller, deadline });
    if (failure !== undefined) failures.push(`${check.name}: ${failure}`);
  }
  if (failures.length > 0) {
    throw new Error(
      `${failures.length} of ${checks.length} checks failed at ${url}\n- ${failures.join('\n- ')}`,
    );
  }
  log(`smoke: ${checks.length} checks passed at ${url}`);
});

/** Retries until the deadline: a new app starts, and new role assignments take effect, after a while. */
async function attempt({ name, run, once = false }, { caller, deadline }) {
  for (;;) {
    try {
      const remark = await run(caller);
      log(`ok    ${name}${remark === undefined ? '' : ` (${remark})`}`);
      return undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const waitMs = Math.min(RETRY_MS, deadline - Date.now());
      if (once || waitMs <= 0) {
        log(`FAIL  ${name}: ${reason}`);
        return reason;
      }
      await delay(waitMs);
    }
  }
}

/**
 * With Entra ID the login of azd may have a token for the app too. It is used where the app accepts
 * it; otherwise the checks that need one report that they did not run.
 */
async function findBearerToken(url, key) {
  const clientId = setting('AUTH_CLIENT_ID');
  if (clientId === undefined || setting('SMOKE_BEARER_TOKEN') !== undefined) return;
  try {
    process.env.SMOKE_BEARER_TOKEN = await azdToken(`api://${clientId}/.default`);
    const { status } = await createCaller(url, key).get('/v1/models');
    if (status === 401 || status === 403) throw new Error(`the app answered ${status}`);
  } catch (error) {
    delete process.env.SMOKE_BEARER_TOKEN;
    log(`no token of azd for the app: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The key of the app's functions, from the setting or else from Azure. It is never printed. */
async function findKey(deadline) {
  const configured = setting('SMOKE_FUNCTION_KEY');
  if (configured !== undefined) return configured;
  const app = `/subscriptions/${required('AZURE_SUBSCRIPTION_ID')}/resourceGroups/${required('AZURE_RESOURCE_GROUP')}/providers/Microsoft.Web/sites/${required('SERVICE_API_NAME')}`;
  for (;;) {
    try {
      const { functionKeys } = await callArm(
        `${app}/host/default/listKeys?api-version=2024-11-01`,
        {
          method: 'POST',
          token: await azdToken(),
        },
      );
      if (functionKeys?.default) return functionKeys.default;
      throw new Error('Azure returned no function key: the host has not started yet');
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(RETRY_MS);
    }
  }
}
