import { readAgentSettings, type AgentSettings } from './agent-settings.ts';
import { orderProblems, variableProblems } from './cross-checks.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { SettingSource } from './setting-source.ts';
import type { Environment } from './find-variable.ts';
import { readVariableSettings, type VariableSettings } from './read-variables.ts';

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
    ...variableProblems(places),
    ...agent.problems,
    // Values that cannot be read say nothing about how they go together.
    ...(agent.problems.length === 0 ? orderProblems(agent.settings) : []),
  ];
  return { settings, sources: new Map([...variables.sources, ...agent.sources]), problems };
}
