import { normalise } from './injection/normalise.ts';

/** The rules of `[security.input_validation]`; an undefined bound does not apply. */
export interface InputRules {
  readonly maxMessageChars?: number | undefined;
  readonly maxTotalChars?: number | undefined;
  readonly maxMessages?: number | undefined;
  readonly maxDepth?: number | undefined;
  /** Unicode scripts; all if empty. */
  readonly scripts: readonly string[];
  readonly maxOtherLetters: number;
  readonly attachments: 'any' | 'listed' | 'none';
  readonly attachmentTypes: readonly string[];
}

/** A compiled pattern that takes time linear in the length of the text. */
export interface LinearPattern {
  test(text: string): boolean;
}

/**
 * The patterns in RE2 syntax. Its engine takes linear time and has no look-around and no back
 * references; `onProblem` learns the index of a pattern that it refuses.
 */
export async function compilePatterns(
  patterns: readonly string[],
  onProblem: (index: number) => never,
): Promise<readonly LinearPattern[]> {
  if (patterns.length === 0) return [];
  const { RE2JS } = await import('re2js');
  return patterns.map((pattern, index) => {
    try {
      const compiled = RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);
      return { test: (text) => compiled.matcher(text).find() };
    } catch {
      return onProblem(index);
    }
  });
}

/** The parts of a request that the rules concern. */
export interface ValidatedInput {
  /** The text of each message. */
  readonly texts: readonly string[];
  /** The addresses of images: `data:` or on the web. */
  readonly images: readonly string[];
  /** Parsed JSON: tool definitions, schemas and arguments of tool calls. */
  readonly values: readonly unknown[];
}

/** Returns what is wrong with an input, as the end of a sentence, or undefined. */
export type InputCheck = (input: ValidatedInput) => string | undefined;

/** Whether any of the rules applies. */
export function hasInputRules(rules: InputRules, patterns: readonly LinearPattern[]): boolean {
  const { maxMessageChars, maxTotalChars, maxMessages, maxDepth } = rules;
  const bounds = [maxMessageChars, maxTotalChars, maxMessages, maxDepth];
  return (
    bounds.some((bound) => bound !== undefined) ||
    rules.scripts.length > 0 ||
    rules.attachments !== 'any' ||
    patterns.length > 0
  );
}

export function createInputCheck(
  rules: InputRules,
  patterns: readonly LinearPattern[],
): InputCheck {
  const otherLetters = lettersOutside(rules.scripts);
  return (input) =>
    problemOfSize(rules, input) ??
    problemOfLetters(rules, { texts: input.texts, otherLetters }) ??
    problemOfTopic(patterns, input) ??
    problemOfImages(rules, input);
}

function problemOfSize(rules: InputRules, { texts, values }: ValidatedInput): string | undefined {
  const { maxMessages, maxMessageChars, maxTotalChars, maxDepth } = rules;
  if (maxMessages !== undefined && texts.length > maxMessages) {
    return `a request must have at most ${maxMessages} messages`;
  }
  if (maxMessageChars !== undefined && texts.some(({ length }) => length > maxMessageChars)) {
    return `a message must have at most ${maxMessageChars} characters`;
  }
  const total = texts.reduce((sum, { length }) => sum + length, 0);
  if (maxTotalChars !== undefined && total > maxTotalChars) {
    return `all messages must have at most ${maxTotalChars} characters`;
  }
  if (maxDepth !== undefined && values.some((value) => isDeeper(value, maxDepth))) {
    return `tools, schemas and arguments must have at most ${maxDepth} levels`;
  }
  return undefined;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

interface LetterContext {
  readonly texts: readonly string[];
  readonly otherLetters: RegExp | undefined;
}

function problemOfLetters(
  { scripts, maxOtherLetters }: InputRules,
  { texts, otherLetters }: LetterContext,
): string | undefined {
  if (otherLetters === undefined) return undefined;
  const isOver = texts.some((text) => (text.match(otherLetters)?.length ?? 0) > maxOtherLetters);
  return isOver ? `messages must be written in ${scripts.join(', ')}` : undefined;
}

/** Undefined if all scripts are allowed. The names were checked with the settings. */
function lettersOutside(scripts: readonly string[]): RegExp | undefined {
  if (scripts.length === 0) return undefined;
  const allowed = [...scripts, 'Common', 'Inherited'].map((name) => `\\p{Script=${name}}`);
  return new RegExp(`(?=\\p{L})[^${allowed.join('')}]`, 'gu');
}

function problemOfTopic(
  patterns: readonly LinearPattern[],
  { texts }: ValidatedInput,
): string | undefined {
  if (patterns.length === 0) return undefined;
  const isBlocked = texts.some((text) => {
    const views = new Set([text, normalise(text)]);
    return patterns.some((pattern) => [...views].some((view) => pattern.test(view)));
  });
  return isBlocked ? 'a message is about a topic that is not allowed' : undefined;
}

function problemOfImages(
  { attachments, attachmentTypes }: InputRules,
  { images }: ValidatedInput,
): string | undefined {
  if (attachments === 'any' || images.length === 0) return undefined;
  if (attachments === 'none') return 'a message must have no attachments';
  const isListed = images.every((url) =>
    attachmentTypes.some((type) => matchesType(typeOf(url), type)),
  );
  return isListed ? undefined : `attachments must be of the types ${attachmentTypes.join(', ')}`;
}

function typeOf(url: string): string {
  return /^data:([^;,]{1,100})/i.exec(url)?.[1]?.toLowerCase() ?? 'url';
}

function matchesType(type: string, listed: string): boolean {
  return listed.endsWith('/*') ? type.startsWith(listed.slice(0, -1)) : type === listed;
}
