import type { AgentSettings } from './agent-settings.ts';
import type { ConfigProblem } from './config-error.ts';
import type { Secrets } from './secrets.ts';
import type { VariableSettings } from './variable-settings.ts';
import { VARIABLES, type Variable } from './variables.ts';

/** What no single variable can say: which model is called. */
export function endpointProblems(
  settings: VariableSettings,
  secrets: Secrets | undefined,
): ConfigProblem[] {
  const { openAiBaseUrl, openAiApiKey, azureOpenAiEndpoint, azureOpenAiDeployment } = VARIABLES;
  const isVaultUnread = settings.azureKeyVaultUrl !== undefined && secrets === undefined;
  if (settings.azureOpenAiEndpoint !== undefined) {
    if (settings.openAiBaseUrl !== undefined) {
      const wanted = `unset while ${azureOpenAiEndpoint.name} is set`;
      return [{ setting: openAiBaseUrl.name, wanted }];
    }
    if (settings.azureOpenAiDeployment !== undefined || isVaultUnread) return [];
    return [missing(azureOpenAiDeployment, { wanted: 'the name of a model deployment', secrets })];
  }
  if (settings.openAiApiKey !== undefined || isVaultUnread) return [];
  const wanted = `a key, or ${azureOpenAiEndpoint.name} for Azure OpenAI by managed identity`;
  return [missing(openAiApiKey, { wanted, secrets })];
}

interface Missing {
  readonly wanted: string;
  readonly secrets: Secrets | undefined;
}

/** Says where the value was looked for, so that nobody searches in the wrong place. */
function missing({ name, vaultName }: Variable, { wanted, secrets }: Missing): ConfigProblem {
  const reason = vaultName === undefined ? undefined : secrets?.whyMissing(vaultName);
  if (reason === undefined) return { setting: name, wanted };
  const looked = `Key Vault secret ${vaultName ?? ''}: ${reason}; environment: unset`;
  return { setting: name, wanted: `${wanted} (${looked})` };
}

/** Pairs of which one bounds the other. */
export function orderProblems({ model }: AgentSettings): ConfigProblem[] {
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
