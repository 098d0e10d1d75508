import type { AgentSettings } from './agent-settings.ts';
import type { ConfigProblem } from './config-error.ts';
import {
  readRouteAuthLevel,
  resolveVariable,
  secretVariable,
  textOf,
  type VariableSources,
} from './read-variables.ts';
import { fallbackSecrets } from './model-fallbacks.ts';
import { VARIABLES, type Variable } from './variables.ts';

/** Checks that involve several variables: the choice of the model, and dependent settings. */
export function checkVariables(sources: VariableSources): ConfigProblem[] {
  return [...checkModel(sources), ...checkFallbacks(sources), ...checkPairs(sources)];
}

/** Checks pairs of settings where one limits the other. */
export function checkOrder({ callers, model, output, tools }: AgentSettings): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (model.breakerWindowSize < model.breakerFailures) {
    const expected = 'at least model.breaker_failures, or the circuit never opens';
    problems.push({ setting: 'model.breaker_window_size', expected: expected });
  }
  if (model.backoffMaxMs < model.backoffInitialMs) {
    problems.push({
      setting: 'model.backoff_max_ms',
      expected: 'at least model.backoff_initial_ms',
    });
  }
  if (tools.enabled.includes('http_fetch') && tools.httpAllowedHosts.length === 0) {
    const expected = 'at least one host while tools.enabled has http_fetch';
    problems.push({ setting: 'tools.http_allowed_hosts', expected });
  }
  problems.push(...checkMcpServers(tools.mcp));
  if (callers.entraAppRole !== undefined && !callers.trustEntraPrincipal) {
    const expected = 'true while callers.entra_app_role is set';
    problems.push({ setting: 'callers.trust_entra_principal', expected });
  }
  if (output.format === 'json_schema' && output.schema === undefined) {
    problems.push({ setting: 'output.schema', expected: 'set while output.format is json_schema' });
  }
  return problems;
}

/** What a model reads has 64 characters at most, and each tool needs a name of its own. */
function checkMcpServers(servers: AgentSettings['tools']['mcp']): ConfigProblem[] {
  return Object.entries(servers).flatMap(([server, { tools, repeatableTools }]) => {
    const names = tools.map((tool) => mcpToolName(server, tool));
    const problems: ConfigProblem[] = [];
    if (tools.length === 0) {
      const expected = 'at least one tool of the server';
      problems.push({ setting: `tools.mcp.${server}.tools`, expected });
    }
    if (new Set(names).size < names.length || names.some((name) => name.length > 64)) {
      const expected = `names that stay different after ${server}__, with characters other than letters, digits, _ and - replaced by _, and at most 64 characters in all`;
      problems.push({ setting: `tools.mcp.${server}.tools`, expected });
    }
    if (repeatableTools.some((tool) => !tools.includes(tool))) {
      const expected = `a part of tools.mcp.${server}.tools`;
      problems.push({ setting: `tools.mcp.${server}.repeatable_tools`, expected });
    }
    return problems;
  });
}

/** Without a key of the host, no caller could be admitted. A vault may hold caller keys. */
export function checkCallers(
  { callers }: Pick<AgentSettings, 'callers'>,
  sources: VariableSources,
): ConfigProblem[] {
  const { routeAuthLevel, callerKeys, azureKeyVaultUrl } = VARIABLES;
  if (readRouteAuthLevel(sources.environment) === 'function') return [];
  if (callers.trustEntraPrincipal) return [];
  if (isSet(callerKeys, sources) || isSet(azureKeyVaultUrl, sources)) return [];
  const expected = `function, unless callers.trust_entra_principal or ${callerKeys.name} is set`;
  return [{ setting: routeAuthLevel.name, expected }];
}

/** A vault may hold a secret that it has not given yet; without a vault the variable must be set. */
export function checkToolSecrets(
  { tools }: Pick<AgentSettings, 'tools'>,
  sources: VariableSources,
): ConfigProblem[] {
  if (isSet(VARIABLES.azureKeyVaultUrl, sources)) return [];
  return Object.entries(tools.mcp).flatMap(([server, { authSecret }]) => {
    if (authSecret === undefined) return [];
    const setting = secretVariable(authSecret);
    if (textOf(sources.environment, setting) !== '') return [];
    const expected = `set, or ${VARIABLES.azureKeyVaultUrl.name}, while tools.mcp.${server}.auth_secret names it`;
    return [{ setting, expected }];
  });
}

/** The name by which the model reads a tool of an MCP server. No own tool has `__` in its name. */
export function mcpToolName(server: string, tool: string): string {
  return `${server}__${tool.replaceAll(/[^\w-]/g, '_')}`;
}

function checkModel(sources: VariableSources): ConfigProblem[] {
  const { openAiApiKey, openAiBaseUrl, azureOpenAiEndpoint, azureOpenAiDeployment } = VARIABLES;
  if (!isSet(azureOpenAiEndpoint, sources)) {
    const expected = `a key, or ${azureOpenAiEndpoint.name} for Azure OpenAI by managed identity`;
    return requireSet(openAiApiKey, { expected, sources });
  }
  const problems = requireSet(azureOpenAiDeployment, {
    expected: 'the name of a model deployment',
    sources,
  });
  if (isSet(openAiBaseUrl, sources)) {
    const expected = `unset while ${azureOpenAiEndpoint.name} is set`;
    problems.unshift({ setting: openAiBaseUrl.name, expected: expected });
  }
  return problems;
}

function checkFallbacks(sources: VariableSources): ConfigProblem[] {
  const { modelFallbacks, azureKeyVaultUrl } = VARIABLES;
  const secrets = fallbackSecrets(resolveVariable(modelFallbacks, sources).text);
  if (secrets.length === 0 || isSet(azureKeyVaultUrl, sources)) return [];
  const expected = `set while ${modelFallbacks.name} names an "apiKeySecret"`;
  return [{ setting: azureKeyVaultUrl.name, expected: expected }];
}

/** Checks settings that are only useful together. */
function checkPairs(sources: VariableSources): ConfigProblem[] {
  const { storageBlobUri, storageQueueUri, upstashRedisUrl, upstashRedisToken } = VARIABLES;
  return [
    // A URI that is missing is derived from the name of the account.
    ...(isSet(VARIABLES.storageAccountName, sources)
      ? []
      : requireBoth(storageBlobUri, { other: storageQueueUri, sources })),
    // With a vault, a missing token makes Redis unavailable, which chats survive; not an error here.
    ...(isSet(VARIABLES.azureKeyVaultUrl, sources)
      ? []
      : requireBoth(upstashRedisUrl, { other: upstashRedisToken, sources })),
  ];
}

interface Pair {
  readonly other: Variable;
  readonly sources: VariableSources;
}

function requireBoth(one: Variable, { other, sources }: Pair): ConfigProblem[] {
  if (isSet(one, sources) === isSet(other, sources)) return [];
  const [present, missing] = isSet(one, sources) ? [one, other] : [other, one];
  return [{ setting: missing.name, expected: `set while ${present.name} is set` }];
}

interface Requirement {
  readonly expected: string;
  readonly sources: VariableSources;
}

/** The message names each source that was searched. */
function requireSet(variable: Variable, { expected, sources }: Requirement): ConfigProblem[] {
  const { name, vaultName } = variable;
  const { secrets } = sources;
  if (isSet(variable, sources)) return [];
  // Not an error until the vault, which may hold the value, was read.
  if (isSet(VARIABLES.azureKeyVaultUrl, sources) && secrets === undefined) return [];
  const reason = vaultName === undefined ? undefined : secrets?.missingReason(vaultName);
  if (reason === undefined) return [{ setting: name, expected: expected }];
  const searched = `Key Vault secret ${vaultName ?? ''}: ${reason}; environment: unset`;
  return [{ setting: name, expected: `${expected} (${searched})` }];
}

function isSet(variable: Variable, sources: VariableSources): boolean {
  const { source } = resolveVariable(variable, sources);
  return source !== 'unset' && source !== 'default';
}
