// Blue/green: node infra/hooks/switch-traffic.js this|other
// Gives an app all traffic of the Front Door in steps, and returns it when chats fail. The new origin
// is enabled before the old one is disabled, because Azure refuses a route without an enabled origin.
import { azdToken, completeSettings } from './support/azure.js';
import { createFrontDoor, otherOrigin } from './support/front-door.js';
import { describeTraffic, isRed, observeTraffic } from './support/observe-traffic.js';
import { log, runHook, seconds } from './support/terminal.js';

/** Shares of the new app, of 1000. */
const STEPS = [50, 500];
const FULL = 1000;

await runHook('switch-traffic', async () => {
  const to = process.argv[2];
  const from = otherOrigin(to);
  await completeSettings('FRONT_DOOR_PROFILE');
  const frontDoor = createFrontDoor(await azdToken());
  const stepMs = seconds('STEP_SECONDS', 300) * 1000;
  for (const share of STEPS) {
    await frontDoor.setWeight(to, share);
    await frontDoor.setWeight(from, FULL - share);
    const seen = await observeTraffic({ forMs: stepMs });
    log(`${to} at ${share / 10} %: ${describeTraffic(seen)}`);
    if (isRed(seen)) {
      await frontDoor.setWeight(from, FULL);
      await frontDoor.setWeight(to, 0);
      throw new Error(`${describeTraffic(seen)}; all traffic is back at ${from}`);
    }
  }
  await frontDoor.setWeight(to, FULL);
  await frontDoor.setWeight(from, 0);
  log(`switched: all traffic is at ${to}; keep ${from} until ${to} has proven itself`);
  log(`azd env set FRONT_DOOR_WEIGHT ${to === 'this' ? 500 : 0}`);
  log(`azd env set FRONT_DOOR_OTHER_WEIGHT ${to === 'other' ? 500 : 0}`);
});
