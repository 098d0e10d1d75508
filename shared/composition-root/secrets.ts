import type { TokenCredential } from '@azure/identity';
import { isUsableList } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import { type Settings, toolSecrets } from '../config/read-config.ts';
import { type Environment, requiredSecrets } from '../config/read-variables.ts';
import { VARIABLES } from '../config/variables.ts';
import { createEnvironmentSecrets, type RequiredSecret, type Secrets } from '../secrets/secrets.ts';
import { DEFAULT_REFRESH_SCHEDULE } from '../secrets/refresh-schedule.ts';
import { createVaultSecrets } from '../secrets/vault-secrets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface SecretsDependencies {
  readonly settings: Settings;
  readonly credential: () => Promise<TokenCredential>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** Secrets from the configured vault, or else from the environment. */
export async function createSecrets(
  environment: Environment,
  { settings, credential, ...dependencies }: SecretsDependencies,
): Promise<Secrets> {
  const required = requiredSecrets(settings.modelFallbacks, toolSecrets(settings)).map(
    withListCheck,
  );
  const { azureKeyVaultUrl: vaultUrl } = settings;
  if (vaultUrl === undefined) return createEnvironmentSecrets({ required, environment });
  const [{ createKeyVaultReader }, identity] = await Promise.all([
    import('../secrets/key-vault.ts'),
    credential(),
  ]);
  return createVaultSecrets({
    ...dependencies,
    required,
    environment,
    reader: createKeyVaultReader({ vaultUrl, credential: identity }),
    schedule: {
      ...DEFAULT_REFRESH_SCHEDULE,
      loadTimeoutMs: settings.secrets.loadTimeoutMs,
      refreshMs: settings.secrets.refreshMs,
      lateRefusalMs: settings.model.attemptTimeoutMs,
    },
  });
}

/** The module config checks that the list is JSON; only the module callers knows its entries. */
function withListCheck(secret: RequiredSecret): RequiredSecret {
  const isList = secret.name === VARIABLES.callerKeys.vaultName;
  return isList ? { ...secret, accepts: isUsableList } : secret;
}

/** The identity of the app, loaded on first use because its package costs a cold start. */
export function lazyCredential({ azureClientId }: Settings): Memoized<TokenCredential> {
  return memoize(async () => {
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new DefaultAzureCredential(
      azureClientId === undefined ? {} : { managedIdentityClientId: azureClientId },
    );
  });
}

interface Memoized<T> {
  (): Promise<T>;
  /** The existing value, or undefined if it was never created or its creation failed. */
  peek(): Promise<T | undefined>;
}

/** Creates a value once, on first use, for all concurrent callers. Forgets a failure. */
export function memoize<T>(create: () => Promise<T>): Memoized<T> {
  let pending: Promise<T> | undefined;
  function get(): Promise<T> {
    pending ??= create().catch((error: unknown) => {
      pending = undefined;
      throw error;
    });
    return pending;
  }
  return Object.assign(get, { peek: async () => pending?.catch(() => undefined) });
}
