import { type AgentSettings, readAgentSettings } from './agent-settings.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { checkCallers, checkOrder, checkToolSecrets, checkVariables } from './cross-checks.ts';
import { type Environment, readVariableSettings, type VariableSettings } from './read-variables.ts';
import type { SettingSource } from './variables.ts';
import type { Secrets } from '../secrets/secrets.ts';

/** All settings, validated. */
export type Settings = VariableSettings & AgentSettings;

export interface Config {
  readonly settings: Settings;
  /** The source of each value, by variable or by dotted key of agent.toml. */
  readonly sources: ReadonlyMap<string, SettingSource>;
}

export interface ConfigInputs {
  /** The text of agent.toml; the defaults apply without it. */
  readonly agentToml?: string;
  /** Undefined until Key Vault was read; settings that it may provide are not missing before that. */
  readonly secrets?: Secrets;
}

/**
 * Reads agent.toml, the environment and the secrets.
 * @throws ConfigError naming every invalid setting, without any value
 */
export function readConfig(environment: Environment, inputs: ConfigInputs = {}): Config {
  const { problems, ...config } = inspectConfig(environment, inputs);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** Like `readConfig`, but returns the problems beside the settings. */
export function inspectConfig(
  environment: Environment,
  { agentToml = '', secrets }: ConfigInputs = {},
): Config & { readonly problems: readonly ConfigProblem[] } {
  const variableSources = { environment, secrets };
  const variables = readVariableSettings(variableSources);
  const agent = readAgentSettings(environment, agentToml);
  const settings = { ...variables.settings, ...agent.settings };
  const problems = [
    ...variables.problems,
    ...checkVariables(variableSources),
    ...agent.problems,
    // Relations between invalid values mean nothing.
    ...(agent.problems.length === 0
      ? [
          ...checkOrder(agent.settings),
          ...checkToolSecrets(agent.settings, variableSources),
          ...checkCallers(agent.settings, variableSources),
        ]
      : []),
  ];
  return { settings, sources: new Map([...variables.sources, ...agent.sources]), problems };
}

/** The names of the secrets that MCP servers require. */
export function toolSecrets({ tools }: Pick<Settings, 'tools'>): readonly string[] {
  return Object.values(tools.mcp).flatMap(({ authSecret }) => authSecret ?? []);
}

/** How to connect to the storage account. */
type StorageSettings =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | { readonly kind: 'identity'; readonly blobUri: string; readonly queueUri: string };

/** The configured storage account, or undefined. */
export function storageSettings(settings: Settings): StorageSettings | undefined {
  const { storageConnection, storageAccountName: account } = settings;
  const blobUri = settings.storageBlobUri ?? serviceUri(account, 'blob');
  const queueUri = settings.storageQueueUri ?? serviceUri(account, 'queue');
  if (blobUri !== undefined && queueUri !== undefined) {
    return { kind: 'identity', blobUri, queueUri };
  }
  if (storageConnection === undefined) return undefined;
  return { kind: 'connectionString', connectionString: storageConnection };
}

/** As the platform derives it for its own triggers. */
function serviceUri(account: string | undefined, service: 'blob' | 'queue'): string | undefined {
  return account === undefined ? undefined : `https://${account}.${service}.core.windows.net`;
}
