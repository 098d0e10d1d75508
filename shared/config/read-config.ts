import { type AgentSettings, readAgentSettings } from './agent-settings.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { checkOrder, checkVariables } from './cross-checks.ts';
import { type Environment, readVariableSettings, type VariableSettings } from './read-variables.ts';
import type { SettingSource } from './variables.ts';
import type { Secrets } from '../secrets/secrets.ts';

/** Everything that can be set, read and checked. */
export type Settings = VariableSettings & AgentSettings;

export interface Config {
  readonly settings: Settings;
  /** Where each value came from, by variable or by dotted key of agent.toml. */
  readonly sources: ReadonlyMap<string, SettingSource>;
}

export interface ConfigInputs {
  /** The text of agent.toml; without it the defaults hold. */
  readonly agentToml?: string;
  /** Absent while a named vault has not been asked: then nothing that it may hold is missed. */
  readonly secrets?: Secrets;
}

/**
 * Reads agent.toml, the environment and the secrets.
 * @throws ConfigError naming all that is wrong, at once, and never a value.
 */
export function readConfig(environment: Environment, inputs: ConfigInputs = {}): Config {
  const { problems, ...config } = inspectConfig(environment, inputs);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** The same for those who want to see the values beside the problems. */
export function inspectConfig(
  environment: Environment,
  { agentToml = '', secrets }: ConfigInputs = {},
): Config & { readonly problems: readonly ConfigProblem[] } {
  const places = { environment, secrets };
  const variables = readVariableSettings(places);
  const agent = readAgentSettings(environment, agentToml);
  const settings = { ...variables.settings, ...agent.settings };
  const problems = [
    ...variables.problems,
    ...checkVariables(places),
    ...agent.problems,
    // Values that cannot be read say nothing about how they go together.
    ...(agent.problems.length === 0 ? checkOrder(agent.settings) : []),
  ];
  return { settings, sources: new Map([...variables.sources, ...agent.sources]), problems };
}

/** How the storage account is to be reached, or undefined when no setting names one. */
export type StorageSettings =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | { readonly kind: 'identity'; readonly blobUri: string; readonly queueUri: string };

export function storageSettings(settings: Settings): StorageSettings | undefined {
  const { storageConnection, storageBlobUri, storageQueueUri } = settings;
  if (storageBlobUri !== undefined && storageQueueUri !== undefined) {
    return { kind: 'identity', blobUri: storageBlobUri, queueUri: storageQueueUri };
  }
  if (storageConnection === undefined) return undefined;
  return { kind: 'connectionString', connectionString: storageConnection };
}
