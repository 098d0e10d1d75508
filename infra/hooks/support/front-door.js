import { callArm } from './azure.js';
import { required } from './terminal.js';

const VERSION = '2025-04-15';

/** The two origins of the Front Door: `this` is the app of its environment, `other` the second one. */
export function createFrontDoor(token) {
  const group = `/subscriptions/${required('AZURE_SUBSCRIPTION_ID')}/resourceGroups/${required('AZURE_RESOURCE_GROUP')}/providers/Microsoft.Cdn/profiles/${required('FRONT_DOOR_PROFILE')}/originGroups/apps/origins`;
  return {
    /** Sets the share of traffic of an origin; 0 disables it. */
    async setWeight(origin, weight) {
      const properties =
        weight === 0 ? { enabledState: 'Disabled' } : { enabledState: 'Enabled', weight };
      await callArm(`${group}/${origin}?api-version=${VERSION}`, {
        method: 'PATCH',
        token,
        body: { properties },
      });
    },
  };
}

/** The origin beside the named one. @throws Error for any other name */
export function otherOrigin(origin) {
  if (origin !== 'this' && origin !== 'other') {
    throw new Error(`the origin must be this or other: ${origin}`);
  }
  return origin === 'this' ? 'other' : 'this';
}
