import { ServiceError } from '../errors.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export type Guardrail =
  | 'input_validation'
  | 'pii_detection'
  | 'prompt_injection'
  | 'prompt_shields'
  | 'canary'
  | 'secrets'
  | 'links'
  | 'images';

/** Where in a run a guardrail looks. */
export type GuardedStage = 'input' | 'tool_call' | 'tool_result' | 'output';

/** `fallback`: the local score decided alone, because Prompt Shields did not answer. */
export type DecisionOutcome =
  | 'passed'
  | 'observed'
  | 'redacted'
  | 'marked'
  | 'blocked'
  | 'failed_open'
  | 'failed_closed'
  | 'fallback';

/** What one guardrail decided in one stage of a run. It never contains text. */
export interface GuardrailDecision {
  readonly guardrail: Guardrail;
  readonly stage: GuardedStage;
  readonly outcome: DecisionOutcome;
}

/** What happens if a guardrail fails. */
export type FailureMode = 'open' | 'closed';

/** When guardrails last failed, for readiness. */
export interface GuardrailHealth {
  /** In milliseconds since the epoch, by guardrail. */
  readonly failedAt: ReadonlyMap<Guardrail, number>;
  recordFailure(guardrail: Guardrail): void;
  recordSuccess(guardrail: Guardrail): void;
}

export function createGuardrailHealth(now: () => number): GuardrailHealth {
  const failedAt = new Map<Guardrail, number>();
  return {
    failedAt,
    recordFailure: (guardrail) => void failedAt.set(guardrail, now()),
    recordSuccess: (guardrail) => void failedAt.delete(guardrail),
  };
}

export interface DecisionContext {
  readonly telemetry: Telemetry;
  /** Called once for each decision of the run. */
  readonly onDecision?: ((decision: GuardrailDecision) => void) | undefined;
}

/** Reports the decisions of one run, each once. */
export interface Decisions {
  report(decision: GuardrailDecision): void;
  /** The error of a run that a guardrail ends. Also reports it. */
  block(decision: Omit<GuardrailDecision, 'outcome'>, reason?: string): ServiceError;
  /**
   * Reports that a guardrail failed. Returns where the run may continue without it.
   * @throws ServiceError guardrail_blocked if it fails closed
   */
  fail(failure: GuardrailFailure): void;
}

export interface GuardrailFailure extends Omit<GuardrailDecision, 'outcome'> {
  readonly thrown: unknown;
  readonly onError: FailureMode;
}

const STAGE_TEXT: Readonly<Record<GuardedStage, string>> = {
  input: 'the input',
  tool_call: 'a tool call',
  tool_result: 'a tool result',
  output: 'the answer',
};

export function createDecisions(
  { telemetry, onDecision }: DecisionContext,
  health: GuardrailHealth,
): Decisions {
  const reported = new Map<string, Set<DecisionOutcome>>();

  function report(decision: GuardrailDecision): void {
    const { guardrail, stage, outcome } = decision;
    const outcomes = reported.get(`${guardrail} ${stage}`) ?? new Set<DecisionOutcome>();
    reported.set(`${guardrail} ${stage}`, outcomes);
    // A guardrail that found something in one text passes no stage.
    if (outcomes.has(outcome) || (outcome === 'passed' && outcomes.size > 0)) return;
    outcomes.add(outcome);
    telemetry.count('guardrailDecisions', 1, { guardrail, stage, outcome });
    if (outcome === 'fallback') health.recordFailure(guardrail);
    if (outcome === 'passed') health.recordSuccess(guardrail);
    else telemetry.info('guardrail decided', { guardrail, stage, outcome });
    onDecision?.(decision);
  }

  return {
    report,
    block({ guardrail, stage }, reason) {
      report({ guardrail, stage, outcome: 'blocked' });
      const detail = reason === undefined ? '' : `: ${reason}`;
      return new ServiceError(
        'guardrail_blocked',
        `The guardrail ${guardrail} blocked ${STAGE_TEXT[stage]}${detail}`,
      );
    },
    fail({ guardrail, stage, thrown, onError }) {
      health.recordFailure(guardrail);
      const outcome = onError === 'open' ? 'failed_open' : 'failed_closed';
      report({ guardrail, stage, outcome });
      telemetry.warn('guardrail failed', {
        guardrail,
        stage,
        outcome,
        cause: describeError(thrown),
      });
      if (onError === 'open') return;
      throw new ServiceError(
        'guardrail_blocked',
        `The guardrail ${guardrail} failed for ${STAGE_TEXT[stage]}, and it fails closed`,
        { cause: thrown },
      );
    },
  };
}

/** A guardrail that ends the run, rather than one that fails. */
export function isBlock(thrown: unknown): thrown is ServiceError {
  return thrown instanceof ServiceError;
}
