import type { TokenCredential } from '@azure/identity';
import type { Settings } from '../config/read-config.ts';
import { once, type Once } from './once.ts';

/** The identity of the app, made when it is first needed: its packages cost a cold start. */
export function lazyCredential({ azureClientId }: Settings): Once<TokenCredential> {
  return once(async () => {
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new DefaultAzureCredential(
      azureClientId === undefined ? {} : { managedIdentityClientId: azureClientId },
    );
  });
}
