import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import { type Environment, requiredSecrets } from '../config/read-variables.ts';
import { createEnvironmentSecrets } from '../secrets/environment-secrets.ts';
import { DEFAULT_REFRESH_SCHEDULE } from '../secrets/refresh-schedule.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { createVaultSecrets } from '../secrets/vault-secrets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface SecretsDependencies {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** Secrets from the vault that the settings name, or else from the environment. */
export async function createSecrets(
  environment: Environment,
  parts: SecretsDependencies,
): Promise<Secrets> {
  const { settings, ...others } = parts;
  const wanted = requiredSecrets(settings.modelFallbacks);
  if (settings.azureKeyVaultUrl === undefined) {
    return createEnvironmentSecrets({ wanted, environment });
  }
  const [{ createKeyVaultReader }, credential] = await Promise.all([
    import('../secrets/key-vault.ts'),
    lazyCredential(settings)(),
  ]);
  return createVaultSecrets({
    wanted,
    environment,
    reader: createKeyVaultReader({ vaultUrl: settings.azureKeyVaultUrl, credential }),
    pace: {
      ...DEFAULT_REFRESH_SCHEDULE,
      loadTimeoutMs: settings.secrets.loadTimeoutMs,
      refreshMs: settings.secrets.refreshMs,
      lateRefusalMs: settings.model.attemptTimeoutMs,
    },
    ...others,
  });
}

/** The identity of the app, made when it is first needed: its packages cost a cold start. */
export function lazyCredential({ azureClientId }: Settings): Memoized<TokenCredential> {
  return memoize(async () => {
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new DefaultAzureCredential(
      azureClientId === undefined ? {} : { managedIdentityClientId: azureClientId },
    );
  });
}

export interface Memoized<T> {
  (): Promise<T>;
  /** What was made, or undefined when nobody asked or it failed. */
  made(): Promise<T | undefined>;
}

/** Makes a thing when it is first asked for, once for all who ask, and forgets a failure. */
export function memoize<T>(make: () => Promise<T>): Memoized<T> {
  let making: Promise<T> | undefined;
  function get(): Promise<T> {
    making ??= make().catch((error: unknown) => {
      making = undefined;
      throw error;
    });
    return making;
  }
  return Object.assign(get, { made: async () => making?.catch(() => undefined) });
}
