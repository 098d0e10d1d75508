import { systemClock } from '../../shared/clock.ts';
import { createSecrets, lazyCredential } from '../../shared/composition-root/secrets.ts';
import type { Environment } from '../../shared/config/read-variables.ts';
import { inspectConfig } from '../../shared/config/read-config.ts';
import { VARIABLES } from '../../shared/config/variables.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { usesDevelopmentModel } from '../start/plan-start.ts';
import { describeConfig, describeIdentity } from './describe-config.ts';

export interface ConfigView {
  readonly lines: readonly string[];
  readonly problems: readonly string[];
}

/** The configuration that the app would have in this environment, with the values of the vault. */
export async function showConfig(environment: Environment, agentToml: string): Promise<ConfigView> {
  const given = inspectConfig(environment, { agentToml });
  const isVaultNamed = given.settings.azureKeyVaultUrl !== undefined;
  const parts = {
    credential: lazyCredential(given.settings),
    settings: given.settings,
    clock: systemClock,
    random: Math.random,
    telemetry: noopTelemetry,
  };
  // The refresh interval is itself a setting, so the vault is read only if the settings are valid.
  const canAskVault = isVaultNamed && given.problems.length === 0;
  const secrets = canAskVault ? await createSecrets(environment, parts) : undefined;
  try {
    await secrets?.loaded();
    const config = inspectConfig(environment, { agentToml, ...(secrets && { secrets }) });
    const isModelOurs = usesDevelopmentModel(environment);
    const { vaultName } = VARIABLES.callerKeys;
    const missing = isVaultNamed ? (secrets?.missingReason(vaultName) ?? 'not read') : 'absent';
    const identity = describeIdentity(config, {
      keysUnreadable: missing === 'absent' ? undefined : missing,
    });
    const lines = [...describeConfig(config), '', ...identity];
    if (isModelOurs) lines.push('', 'No model is set: npm start uses the development model');
    const problems = config.problems
      .filter(({ setting }) => !(isModelOurs && setting === 'OPENAI_API_KEY'))
      .map(({ setting, expected }) => `${setting} must be ${expected}`);
    return { lines, problems };
  } finally {
    secrets?.close();
  }
}
