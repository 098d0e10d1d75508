import { expect } from 'vitest';
import { createGuardedAgent } from '../../shared/agent/guarded-agent.ts';
import type { Agent, AgentEvent } from '../../shared/agent/agent.ts';
import { createAgent } from '../../shared/agent/run-loop.ts';
import { collectEvents, runContext } from './agent/scripted-tools.ts';
import { answerOf, createScriptedModel, inputOf, textsThenAnswer } from './scripted-model.ts';
import type { PromptOptions } from '../../shared/agent/model-request.ts';
import {
  createGuardrails,
  type GuardrailOptions,
  type GuardrailSettings,
} from '../../shared/guardrails/guardrails.ts';
import {
  createGuardrailHealth,
  type GuardrailHealth,
  type GuardrailDecision,
} from '../../shared/guardrails/decisions.ts';

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

/** The text of a stream. */
export function textOf(events: readonly AgentEvent[]): string {
  return events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
}

/** A context that notes decisions as `guardrail stage outcome`. */
export function noteDecisions() {
  const decisions: string[] = [];
  const onDecision = ({ guardrail, stage, outcome }: GuardrailDecision): void =>
    void decisions.push(`${guardrail} ${stage} ${outcome}`);
  return { decisions, context: runContext({ onDecision }) };
}

interface AnswerOptions extends GuardedOptions {
  readonly texts?: readonly string[];
}

/** One answer of the model, as a whole and in pieces. */
export function guardedAnswer(
  script: GuardrailScript,
  { texts = ['Hello'], ...options }: AnswerOptions = {},
) {
  const model = createScriptedModel({
    answers: [async () => answerOf(texts.join(''))],
    streams: [() => textsThenAnswer(texts)],
  });
  const agent = createAgent({ model, instructions: 'x', output: options.output });
  return { ...guarded(agent, script, options), model };
}

/** The text of the answer as JSON and as a stream, which must be the same. */
export async function answersOf(script: GuardrailScript, options: AnswerOptions): Promise<string> {
  const whole = await guardedAnswer(script, options).agent.run(inputOf('Hi'), runContext());
  const events = await collectEvents(
    guardedAnswer(script, options).agent.stream(inputOf('Hi'), runContext()),
  );
  expect(textOf(events)).toBe(whole.text);
  expect(events.at(-1)).toMatchObject({ type: 'done', result: { text: whole.text } });
  return whole.text;
}
