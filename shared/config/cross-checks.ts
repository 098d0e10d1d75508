import type { AgentSettings } from './agent-settings.ts';
import type { ConfigProblem } from './config-error.ts';
import { resolveVariable, type VariableSources } from './read-variables.ts';
import { fallbackSecrets } from './model-fallbacks.ts';
import { VARIABLES, type Variable } from './variables.ts';

/** What no single variable can say: which model is called, and what goes together. */
export function checkVariables(places: VariableSources): ConfigProblem[] {
  return [...checkModel(places), ...checkFallbacks(places), ...checkPairs(places)];
}

/** Pairs of which one bounds the other. */
export function checkOrder({ model }: AgentSettings): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (model.breakerWindowSize < model.breakerFailures) {
    const wanted = 'at least model.breaker_failures, or the circuit never opens';
    problems.push({ setting: 'model.breaker_window_size', wanted });
  }
  if (model.backoffMaxMs < model.backoffInitialMs) {
    problems.push({ setting: 'model.backoff_max_ms', wanted: 'at least model.backoff_initial_ms' });
  }
  return problems;
}

function checkModel(places: VariableSources): ConfigProblem[] {
  const { openAiApiKey, openAiBaseUrl, azureOpenAiEndpoint, azureOpenAiDeployment } = VARIABLES;
  if (!isSet(azureOpenAiEndpoint, places)) {
    const wanted = `a key, or ${azureOpenAiEndpoint.name} for Azure OpenAI by managed identity`;
    return requireSet(openAiApiKey, { wanted, places });
  }
  const problems = requireSet(azureOpenAiDeployment, {
    wanted: 'the name of a model deployment',
    places,
  });
  if (isSet(openAiBaseUrl, places)) {
    const wanted = `unset while ${azureOpenAiEndpoint.name} is set`;
    problems.unshift({ setting: openAiBaseUrl.name, wanted });
  }
  return problems;
}

function checkFallbacks(places: VariableSources): ConfigProblem[] {
  const { modelFallbacks, azureKeyVaultUrl } = VARIABLES;
  const secrets = fallbackSecrets(resolveVariable(modelFallbacks, places).text);
  if (secrets.length === 0 || isSet(azureKeyVaultUrl, places)) return [];
  const wanted = `set while ${modelFallbacks.name} names an "apiKeySecret"`;
  return [{ setting: azureKeyVaultUrl.name, wanted }];
}

/** Settings of which one is of no use without the other. */
function checkPairs(places: VariableSources): ConfigProblem[] {
  const { storageBlobUri, storageQueueUri, upstashRedisUrl, upstashRedisToken } = VARIABLES;
  return [
    ...requireBoth(storageBlobUri, { other: storageQueueUri, places }),
    // With a vault a missing token is trouble of Redis, which a chat outlives, and so not told here.
    ...(isSet(VARIABLES.azureKeyVaultUrl, places)
      ? []
      : requireBoth(upstashRedisUrl, { other: upstashRedisToken, places })),
  ];
}

interface Pair {
  readonly other: Variable;
  readonly places: VariableSources;
}

function requireBoth(one: Variable, { other, places }: Pair): ConfigProblem[] {
  if (isSet(one, places) === isSet(other, places)) return [];
  const [there, missing] = isSet(one, places) ? [one, other] : [other, one];
  return [{ setting: missing.name, wanted: `set while ${there.name} is set` }];
}

interface Requirement {
  readonly wanted: string;
  readonly places: VariableSources;
}

/** Says where the value was looked for, so that nobody searches in the wrong place. */
function requireSet(variable: Variable, { wanted, places }: Requirement): ConfigProblem[] {
  const { name, vaultName } = variable;
  const { secrets } = places;
  if (isSet(variable, places)) return [];
  // Nothing is missed while a vault that may hold it has not been asked.
  if (isSet(VARIABLES.azureKeyVaultUrl, places) && secrets === undefined) return [];
  const reason = vaultName === undefined ? undefined : secrets?.whyMissing(vaultName);
  if (reason === undefined) return [{ setting: name, wanted }];
  const looked = `Key Vault secret ${vaultName ?? ''}: ${reason}; environment: unset`;
  return [{ setting: name, wanted: `${wanted} (${looked})` }];
}

function isSet(variable: Variable, places: VariableSources): boolean {
  const { source } = resolveVariable(variable, places);
  return source !== 'unset' && source !== 'default';
}
