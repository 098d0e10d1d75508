import { parseJson } from '../json.ts';
import type { Canary, CanaryScan } from './canary.ts';
import {
  createFilterStream,
  type Finding,
  type StreamRedactor,
  type TextFilter,
} from './stream-redactor.ts';
import {
  type FailureMode,
  type GuardedStage,
  type Guardrail,
  isBlock,
  type Decisions,
} from './decisions.ts';

/** `redact` replaces what is found; `block` ends the run. */
export type FilterAction = 'off' | 'observe' | 'redact' | 'block';
export type ScoreAction = 'off' | 'observe' | 'block';

/** One rule for texts that leave the service. */
export interface OutputRule {
  readonly guardrail: Guardrail;
  readonly action: Exclude<FilterAction, 'off'>;
  readonly onError: FailureMode;
  /** A filter of one text, with a state of its own. */
  readonly createFilter: () => TextFilter<Finding>;
}

/** The rules for one kind of text, in their order. */
export interface OutputRules {
  readonly canary: Canary | undefined;
  readonly canaryAction: ScoreAction;
  readonly onError: FailureMode;
  readonly rules: readonly OutputRule[];
}

interface OutputContext {
  readonly stage: GuardedStage;
  readonly decisions: Decisions;
}

/**
 * Applies the rules to a text that arrives in pieces, each to what the one before it lets pass. A
 * whole text is one piece, so that it and a stream of it have the same result.
 */
export function createOutputGuard(rules: OutputRules, context: OutputContext): StreamRedactor {
  const stages = [
    ...canaryStages(rules, context),
    ...rules.rules.map((rule) => createStage(rule, context)),
  ];
  return {
    push: (delta) => stages.reduce((text, stage) => stage.push(text), delta),
    end() {
      // What a stage holds back passes through those after it, which then end themselves.
      let rest = '';
      for (const stage of stages) rest = (rest === '' ? '' : stage.push(rest)) + stage.end();
      return rest;
    },
    abandon: () => stages.reduceRight((text, stage) => text + stage.abandon(), ''),
  };
}

/** The text after all rules, in one piece. */
export function guardText(text: string, checks: StreamRedactor): string {
  return checks.push(text) + checks.end();
}

function canaryStages(
  { canary, canaryAction: action, onError }: OutputRules,
  { stage, decisions }: OutputContext,
): readonly StreamRedactor[] {
  if (canary === undefined || action === 'off') return [];
  const decision = { guardrail: 'canary', stage } as const;
  const buffered = bufferForScan(canary.startScan(), () => {
    if (action === 'block') throw decisions.block(decision);
    decisions.report({ ...decision, outcome: 'observed' });
  });
  const stream = action === 'block' ? buffered : observeOnly(buffered);
  return [withFailureMode(stream, { guardrail: 'canary', stage, onError, decisions })];
}

/** Holds back what may become a secret. */
function bufferForScan(scan: CanaryScan, onFound: () => void): StreamRedactor {
  let buffered = '';
  let length = 0;
  return {
    push(delta) {
      buffered += delta;
      length += delta.length;
      if (scan.push(delta)) onFound();
      const safe = buffered.length - (length - Math.min(length, scan.safeLength()));
      const text = buffered.slice(0, Math.max(0, safe));
      buffered = buffered.slice(text.length);
      return text;
    },
    end: () => takeBuffered(),
    abandon: () => takeBuffered(),
  };

  function takeBuffered(): string {
    const text = buffered;
    buffered = '';
    return text;
  }
}

function createStage(rule: OutputRule, { stage, decisions }: OutputContext): StreamRedactor {
  const { guardrail, action, onError, createFilter } = rule;
  const filter = createFilter();
  const stream = createFilterStream({
    ...filter,
    replace(value, found) {
      if (action === 'block') throw decisions.block({ guardrail, stage });
      decisions.report({
        guardrail,
        stage,
        outcome: action === 'redact' ? 'redacted' : 'observed',
      });
      return filter.replace(value, found);
    },
  });
  const acting = action === 'observe' ? observeOnly(stream) : stream;
  return withFailureMode(acting, { guardrail, stage, onError, decisions });
}

/** The text passes unchanged and at once, whatever the stream finds in it. */
function observeOnly(stream: StreamRedactor): StreamRedactor {
  let current = '';
  return {
    push(delta) {
      current = delta;
      stream.push(delta);
      current = '';
      return delta;
    },
    end() {
      stream.end();
      return '';
    },
    abandon: () => current,
  };
}

interface FailureOptions extends OutputContext {
  readonly guardrail: Guardrail;
  readonly onError: FailureMode;
}

/** If the stream fails, the text ends, or it passes from then on: by the setting. */
function withFailureMode(
  stream: StreamRedactor,
  { guardrail, stage, onError, decisions }: FailureOptions,
): StreamRedactor {
  let isBypassed = false;
  function run(step: () => string): string {
    try {
      return step();
    } catch (thrown) {
      if (isBlock(thrown)) throw thrown;
      decisions.fail({ guardrail, stage, onError, thrown });
      isBypassed = true;
      return stream.abandon();
    }
  }
  return {
    push: (delta) => (isBypassed ? delta : run(() => stream.push(delta))),
    end() {
      if (isBypassed) return '';
      return run(() => stream.end());
    },
    abandon: () => stream.abandon(),
  };
}

/** Applies the rules to the texts and numbers of a JSON value, so that it stays JSON. */
export function guardJson(json: string, rules: OutputRules, context: OutputContext): string {
  if (rules.canary === undefined && rules.rules.length === 0) return json;
  const value = parseJson(json);
  if (value === undefined) return guardText(json, createOutputGuard(rules, context));
  // A secret may be spread over several texts, so the canary reads them as one.
  const texts: string[] = [];
  mapTexts(value, (text) => {
    texts.push(text);
    return text;
  });
  guardText(texts.join('\n'), createOutputGuard({ ...rules, rules: [] }, context));
  const others = { ...rules, canary: undefined };
  return mapJsonTexts(json, (text) => guardText(text, createOutputGuard(others, context)));
}

/** JSON text with other texts and numbers. Text that is not JSON is one text. */
export function mapJsonTexts(json: string, map: (text: string) => string): string {
  const value = parseJson(json);
  if (value === undefined) return map(json);
  let isChanged = false;
  const mapped = mapTexts(value, (text) => {
    const other = map(text);
    isChanged ||= other !== text;
    return other;
  });
  return isChanged ? JSON.stringify(mapped) : json;
}

/** A number that changes becomes a text. The depth of JSON from clients and models is bounded. */
function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (typeof value === 'number') {
    const text = String(value);
    const mapped = map(text);
    return mapped === text ? value : mapped;
  }
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [map(name), mapTexts(inner, map)]),
  );
}
