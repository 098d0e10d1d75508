// After azd has deployed: does the app do what it is for? azd itself does not ask.
// GET /health, /ready and /health/ready, POST /api/chat, and one item through the batch.
import { askArm, azdToken } from './support/azure.js';
import { checkBatch } from './support/batch.js';
import { createCaller } from './support/call.js';
import { CHECKS } from './support/checks.js';
import { pause, required, runHook, say, seconds, setting } from './support/terminal.js';

const RETRY_MS = 2000;

await runHook('smoke', async () => {
  const url = required('SERVICE_API_URL');
  const withinMs = seconds('SMOKE_SECONDS', 300) * 1000;
  const giveUpAt = Date.now() + withinMs;
  const caller = createCaller(url, await findKey(giveUpAt));
  const batchMs = seconds('SMOKE_BATCH_SECONDS', 120) * 1000;
  const checks = [
    ...CHECKS,
    { name: 'batch round trip', run: () => checkBatch(caller, { withinMs: batchMs }), once: true },
  ];
  const failures = [];
  for (const check of checks) {
    const failure = await attempt(check, { caller, giveUpAt });
    if (failure !== undefined) failures.push(`${check.name}: ${failure}`);
  }
  if (failures.length > 0) {
    throw new Error(
      `${failures.length} of ${checks.length} checks failed at ${url}\n- ${failures.join('\n- ')}`,
    );
  }
  say(`smoke: ${checks.length} checks passed at ${url}`);
});

/** A fresh app wakes up, and fresh rights are believed, only after a while: so until the time is over. */
async function attempt({ name, run, once = false }, { caller, giveUpAt }) {
  for (;;) {
    try {
      const remark = await run(caller);
      say(`ok    ${name}${remark === undefined ? '' : ` (${remark})`}`);
      return undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const waitMs = Math.min(RETRY_MS, giveUpAt - Date.now());
      if (once || waitMs <= 0) {
        say(`FAIL  ${name}: ${reason}`);
        return reason;
      }
      await pause(waitMs);
    }
  }
}

/** The key of the app's functions: as given, else from Azure. It is never printed. */
async function findKey(giveUpAt) {
  const given = setting('SMOKE_FUNCTION_KEY');
  if (given !== undefined) return given;
  const app = `/subscriptions/${required('AZURE_SUBSCRIPTION_ID')}/resourceGroups/${required('AZURE_RESOURCE_GROUP')}/providers/Microsoft.Web/sites/${required('SERVICE_API_NAME')}`;
  for (;;) {
    try {
      const { functionKeys } = await askArm(`${app}/host/default/listKeys?api-version=2024-11-01`, {
        method: 'POST',
        token: await azdToken(),
      });
      if (functionKeys?.default) return functionKeys.default;
      throw new Error('Azure gave no function key: the host has not started yet');
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await pause(RETRY_MS);
    }
  }
}
