// Canary: node infra/hooks/canary.js this|other
// Gives an app a small share of the traffic for a while, and takes it back at the end or as soon as
// chats fail more often than MAX_FAILED_PERCENT.
import { azdToken, completeSettings } from './support/azure.js';
import { createFrontDoor, otherOrigin } from './support/front-door.js';
import { describeTraffic, isRed, observeTraffic } from './support/observe-traffic.js';
import { log, runHook, seconds } from './support/terminal.js';

const FULL = 1000;
/** A look at the figures in between, so that a bad version goes early. */
const LOOKS = 12;

await runHook('canary', async () => {
  const to = process.argv[2];
  const from = otherOrigin(to);
  await completeSettings('FRONT_DOOR_PROFILE');
  const frontDoor = createFrontDoor(await azdToken());
  const percent = seconds('CANARY_PERCENT', 5);
  const totalMs = seconds('CANARY_SECONDS', 3600) * 1000;
  await frontDoor.setWeight(to, Math.max(1, Math.round(percent * 10)));
  await frontDoor.setWeight(from, FULL - Math.round(percent * 10));
  let outcome;
  try {
    outcome = await watch(totalMs);
  } finally {
    await frontDoor.setWeight(from, FULL);
    await frontDoor.setWeight(to, 0);
  }
  if (isRed(outcome)) throw new Error(`${describeTraffic(outcome)}; ${to} has no traffic any more`);
  log(
    `canary: ${describeTraffic(outcome)} with ${percent} % at ${to}; switch-traffic.js ${to} is next`,
  );
});

async function watch(totalMs) {
  const all = { total: 0, failed: 0, failures: new Map() };
  for (
    let look = 0;
    look < LOOKS && !isRed(all.total === 0 ? { total: 1, failed: 0 } : all);
    look += 1
  ) {
    const seen = await observeTraffic({ forMs: totalMs / LOOKS });
    all.total += seen.total;
    all.failed += seen.failed;
    for (const [failure, count] of seen.failures) {
      all.failures.set(failure, (all.failures.get(failure) ?? 0) + count);
    }
  }
  return all;
}
