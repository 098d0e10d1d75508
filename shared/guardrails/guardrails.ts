import { type Canary, createCanary } from './canary.ts';
import { createScorer, type InjectionRules, redactText, screenTexts } from './input-checks.ts';
import {
  createInputCheck,
  hasInputRules,
  type InputCheck,
  type InputRules,
  type LinearPattern,
  type ValidatedInput,
} from './input-validation.ts';
import { imagesFilter, linksFilter } from './links.ts';
import {
  createOutputGuard,
  type FilterAction,
  guardJson,
  type OutputRule,
  type OutputRules,
  type ScoreAction,
} from './output-checks.ts';
import type { PiiSpan, PiiType } from './personal-data.ts';
import type { InjectionOptions, InputText } from './prompt-injection.ts';
import type { PromptShields } from './prompt-shields.ts';
import { createRedaction, type PreviousPlaceholders } from './redaction.ts';
import { secretsFilter } from './secrets.ts';
import { redactionFilter, type StreamRedactor } from './stream-redactor.ts';
import {
  createDecisions,
  type FailureMode,
  type GuardrailHealth,
  isBlock,
  type DecisionContext,
  type Decisions,
} from './decisions.ts';

/** The guardrails of `[security]` in agent.toml. */
export interface GuardrailSettings {
  readonly inputValidation: InputRules & { readonly onError: FailureMode };
  readonly piiDetection: {
    readonly input: FilterAction;
    readonly output: FilterAction;
    readonly toolResults: FilterAction;
    /** All types if empty. */
    readonly types: readonly PiiType[];
    /** Own tools whose arguments get the values of placeholders. */
    readonly restoreInTools: readonly string[];
    readonly onError: FailureMode;
  };
  readonly promptInjection: InjectionRules;
  readonly output: {
    readonly canary: ScoreAction;
    readonly secrets: FilterAction;
    readonly links: FilterAction;
    readonly images: FilterAction;
    readonly allowedHosts: readonly string[];
    readonly onError: FailureMode;
  };
}

export interface GuardrailOptions {
  readonly settings: GuardrailSettings;
  readonly blockedPatterns: readonly LinearPattern[];
  /** Texts that must never leave, the marker of the system prompt among them. */
  readonly canaryTexts: readonly string[];
  /** The system prompt. */
  readonly prompt: string;
  /** The secrets that this process holds now. */
  readonly secrets: () => readonly string[];
  readonly shields?: PromptShields | undefined;
  readonly health: GuardrailHealth;
  /** Replace the detectors of this module. */
  readonly detectPii?: (text: string) => PiiSpan[];
  readonly detectInjection?: (text: string, options: InjectionOptions) => number;
}

export interface Guardrails {
  startRun(context: DecisionContext & { readonly signal: AbortSignal }): RunGuard;
}

/** The guardrails of one run. Methods throw `guardrail_blocked` where the run must end. */
export interface RunGuard {
  validate(input: ValidatedInput): void;
  /** The text as the model may read it. */
  redactInput(input: InputText): string;
  /** The texts as the model may read them. */
  screenInput(inputs: readonly InputText[]): Promise<readonly string[]>;
  /** The arguments, as JSON text, as the agent's own tool may read them. */
  checkToolCall(call: { readonly name: string; readonly arguments: string }): string;
  /** The output of an own tool as the model may read it. */
  checkToolResult(text: string): Promise<string>;
  /** The values whose placeholders are new since the last call, by placeholder. */
  takePlaceholders(): Readonly<Record<string, string>>;
  /** Continues a run of another process. */
  resumePlaceholders(previous: PreviousPlaceholders): void;
  /** For a text that the client reads. */
  startOutput(): StreamRedactor;
  /** JSON text that the client reads: rules apply to each of its texts and numbers. */
  checkOutputJson(json: string): string;
  /** Whether the client may read something else than the model wrote. */
  readonly changesOutput: boolean;
  /** The answer is complete. */
  passOutput(): void;
}

const ALL_TYPES: readonly PiiType[] = ['EMAIL', 'PHONE', 'CREDIT_CARD', 'SSN', 'IBAN', 'IP'];

/**
 * The guardrails in their one order: validation, personal data of the input, prompt injection, then
 * the model; canary, secrets, links and images of the output, personal data of the output.
 */
export function createGuardrails(options: GuardrailOptions): Guardrails {
  const { settings, blockedPatterns, canaryTexts, prompt } = options;
  const compiled: CompiledGuardrails = {
    ...options,
    types: settings.piiDetection.types.length === 0 ? ALL_TYPES : settings.piiDetection.types,
    checkInput: hasInputRules(settings.inputValidation, blockedPatterns)
      ? createInputCheck(settings.inputValidation, blockedPatterns)
      : undefined,
    canary:
      settings.output.canary === 'off' ? undefined : createCanary({ texts: canaryTexts, prompt }),
    score: createScorer(options.detectInjection),
  };
  return { startRun: (context) => startRun(compiled, context) };
}

interface CompiledGuardrails extends GuardrailOptions {
  readonly types: readonly PiiType[];
  readonly checkInput: InputCheck | undefined;
  readonly canary: Canary | undefined;
  readonly score: (input: InputText) => number;
}

function startRun(
  guardrails: CompiledGuardrails,
  context: DecisionContext & { readonly signal: AbortSignal },
): RunGuard {
  const { settings, types, score, shields, health, detectPii: detect } = guardrails;
  const { piiDetection, promptInjection: rules } = settings;
  const decisions = createDecisions(context, health);
  const redaction = createRedaction({ types, isReversible: true, ...(detect && { detect }) });
  const injection = { rules, score, shields, decisions, signal: context.signal };
  const output = outputRulesOf(guardrails);
  const toolCalls = { ...output, rules: output.rules.filter(isForToolCalls) };

  function redact(text: string, stage: 'input' | 'tool_result', action: FilterAction): string {
    const { onError } = piiDetection;
    return redactText(text, { action, onError, stage, redaction, decisions });
  }
  return {
    changesOutput:
      output.canaryAction === 'block' || output.rules.some(({ action }) => action !== 'observe'),
    validate: (input) => validate(input, { guardrails, decisions }),
    redactInput: ({ text, role }) =>
      redact(text, 'input', role === 'tool' ? piiDetection.toolResults : piiDetection.input),
    async screenInput(inputs) {
      if (piiDetection.input !== 'off') {
        decisions.report({ guardrail: 'pii_detection', stage: 'input', outcome: 'passed' });
      }
      return screenTexts(inputs, { ...injection, stage: 'input' });
    },
    checkToolCall({ name, arguments: json }) {
      const safe = guardJson(json, toolCalls, { stage: 'tool_call', decisions });
      return piiDetection.restoreInTools.includes(name) ? redaction.restore(safe) : safe;
    },
    async checkToolResult(text) {
      const safe = redact(text, 'tool_result', piiDetection.toolResults);
      const input: InputText = { text: safe, role: 'tool' };
      const [screened = ''] = await screenTexts([input], { ...injection, stage: 'tool_result' });
      return screened;
    },
    passOutput() {
      const names = output.rules.map(({ guardrail }) => guardrail);
      for (const guardrail of output.canary === undefined ? names : ['canary' as const, ...names]) {
        decisions.report({ guardrail, stage: 'output', outcome: 'passed' });
      }
    },
    takePlaceholders: () => redaction.takeNew(),
    resumePlaceholders: (previous) => redaction.resume(previous),
    startOutput: () => createOutputGuard(output, { stage: 'output', decisions }),
    checkOutputJson: (json) => guardJson(json, output, { stage: 'output', decisions }),
  };
}

interface ValidationContext {
  readonly guardrails: CompiledGuardrails;
  readonly decisions: Decisions;
}

function validate(input: ValidatedInput, { guardrails, decisions }: ValidationContext): void {
  const { checkInput, settings } = guardrails;
  if (checkInput === undefined) return;
  const decision = { guardrail: 'input_validation', stage: 'input' } as const;
  try {
    const problem = checkInput(input);
    if (problem !== undefined) throw decisions.block(decision, problem);
    decisions.report({ ...decision, outcome: 'passed' });
  } catch (thrown) {
    if (isBlock(thrown)) throw thrown;
    decisions.fail({ ...decision, onError: settings.inputValidation.onError, thrown });
  }
}

/** The rules for answers, in their order. */
function outputRulesOf({
  settings,
  canary,
  secrets,
  types,
  detectPii: detect,
}: CompiledGuardrails): OutputRules {
  const { output, piiDetection } = settings;
  const { onError, allowedHosts } = output;
  const rules: (Omit<OutputRule, 'action'> & { readonly action: FilterAction })[] = [
    {
      guardrail: 'secrets',
      action: output.secrets,
      onError,
      createFilter: () => secretsFilter(secrets),
    },
    {
      guardrail: 'links',
      action: output.links,
      onError,
      createFilter: () => linksFilter({ allowedHosts }),
    },
    {
      guardrail: 'images',
      action: output.images,
      onError,
      createFilter: () => imagesFilter({ allowedHosts }),
    },
    {
      guardrail: 'pii_detection',
      action: piiDetection.output,
      onError: piiDetection.onError,
      createFilter: () => redactionFilter(createRedaction({ types, ...(detect && { detect }) })),
    },
  ];
  return {
    canary,
    canaryAction: output.canary,
    onError,
    rules: rules.filter((rule): rule is OutputRule => rule.action !== 'off'),
  };
}

/** Tools may need addresses and links; a secret or the system prompt they never need. */
function isForToolCalls({ guardrail }: OutputRule): boolean {
  return guardrail === 'secrets';
}
