import type { Clock } from '../clock.ts';
import { createEnvironmentSecrets } from '../secrets/environment-secrets.ts';
import type { Settings } from '../config/read-config.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Environment } from '../config/find-variable.ts';
import { wantedSecrets } from '../config/read-variables.ts';
import { DEFAULT_VAULT_PACE } from '../secrets/refresh-schedule.ts';
import { createVaultSecrets } from '../secrets/vault-secrets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { lazyCredential } from './credential.ts';

export interface SecretsParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** Secrets from the vault that the settings name, or else from the environment. */
export async function openSecrets(environment: Environment, parts: SecretsParts): Promise<Secrets> {
  const { settings, ...others } = parts;
  const wanted = wantedSecrets(settings.modelFallbacks);
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
      ...DEFAULT_VAULT_PACE,
      loadTimeoutMs: settings.secrets.loadTimeoutMs,
      refreshMs: settings.secrets.refreshMs,
      lateRefusalMs: settings.model.attemptTimeoutMs,
    },
    ...others,
  });
}
