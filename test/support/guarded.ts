import { createGuardedAgent } from '../../shared/agent/guarded-agent.ts';
import type { Agent } from '../../shared/agent/agent.ts';
import type { PromptOptions } from '../../shared/agent/model-request.ts';
import {
  createGuardrails,
  type GuardrailOptions,
  type GuardrailSettings,
} from '../../shared/guardrails/guardrails.ts';
import { createGuardrailHealth, type GuardrailHealth } from '../../shared/guardrails/verdicts.ts';

/** Parts of the settings; all guardrails that are left out are off. */
export interface GuardrailScript {
  readonly inputValidation?: Partial<GuardrailSettings['inputValidation']>;
  readonly piiDetection?: Partial<GuardrailSettings['piiDetection']>;
  readonly promptInjection?: Partial<GuardrailSettings['promptInjection']>;
  readonly output?: Partial<GuardrailSettings['output']>;
}

export interface GuardedOptions extends Partial<Omit<GuardrailOptions, 'settings'>> {
  readonly output?: PromptOptions['output'];
}

/** The agent behind guardrails, and their health. */
export function guarded(
  agent: Agent,
  script: GuardrailScript,
  options: GuardedOptions = {},
): { readonly agent: Agent; readonly health: GuardrailHealth } {
  const { output, ...overrides } = options;
  const health = createGuardrailHealth(() => 1);
  const prompt: PromptOptions = { instructions: 'x', output };
  const guardrails = createGuardrails({
    settings: settingsOf(script),
    blockedPatterns: [],
    canaryTexts: [],
    prompt: prompt.instructions,
    secrets: () => [],
    health,
    ...overrides,
  });
  return { agent: createGuardedAgent({ agent, guardrails, prompt }), health };
}

function settingsOf(script: GuardrailScript): GuardrailSettings {
  return {
    inputValidation: {
      scripts: [],
      maxOtherLetters: 0,
      attachments: 'any',
      attachmentTypes: [],
      onError: 'closed',
      ...script.inputValidation,
    },
    piiDetection: {
      input: 'off',
      output: 'off',
      toolResults: 'off',
      types: [],
      restoreInTools: [],
      onError: 'closed',
      ...script.piiDetection,
    },
    promptInjection: {
      user: 'off',
      userThreshold: 0.5,
      documents: 'off',
      documentThreshold: 0.5,
      onError: 'open',
      ...script.promptInjection,
    },
    output: {
      canary: 'off',
      secrets: 'off',
      links: 'off',
      images: 'off',
      allowedHosts: [],
      onError: 'closed',
      ...script.output,
    },
  };
}
