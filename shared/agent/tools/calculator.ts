import * as z from 'zod';
import { defineTool, type Tool, ToolInputError } from '../tool.ts';

const MAX_CHARS = 500;
/** Nested parentheses, signs and powers. */
const MAX_DEPTH = 64;

const parameters = z.strictObject({
  expression: z
    .string()
    .max(MAX_CHARS)
    .describe(
      'Arithmetic with + - * / % ^ and parentheses, the functions abs, ceil, cos, exp, floor, ln, ' +
        'log10, max, min, round, sin, sqrt, tan, and the constants pi and e. Example: (3 + 4) * 2',
    ),
});

/** Evaluates arithmetic in double precision. It has its own parser, so no text is ever run as code. */
export const calculator: Tool = defineTool({
  name: 'calculator',
  description: 'Computes the value of an arithmetic expression.',
  parameters,
  effect: 'none',
  run({ expression }) {
    const value = evaluate(expression);
    if (!Number.isFinite(value)) {
      throw new ToolInputError('"expression" has no finite value, for example it divides by zero');
    }
    // Hides the error of binary fractions: 0.1 + 0.2 is 0.3.
    return String(Number(value.toPrecision(15)));
  },
});

const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['e', Math.E],
]);

const FUNCTIONS: ReadonlyMap<string, (...values: number[]) => number> = new Map([
  ['abs', Math.abs],
  ['ceil', Math.ceil],
  ['cos', Math.cos],
  ['exp', Math.exp],
  ['floor', Math.floor],
  ['ln', Math.log],
  ['log10', Math.log10],
  ['max', Math.max],
  ['min', Math.min],
  ['round', Math.round],
  ['sin', Math.sin],
  ['sqrt', Math.sqrt],
  ['tan', Math.tan],
]);

const TOKEN =
  /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|([a-z][a-z0-9]*)|([-+*/%^(),]))/iy;

interface Reader {
  /** The next token without consuming it; empty at the end. */
  peek(): string;
  take(): string;
}

function evaluate(expression: string): number {
  const reader = createReader(tokenize(expression));
  const value = readSum(reader, 0);
  if (reader.peek() !== '') throw invalid(reader.peek());
  return value;
}

function tokenize(expression: string): readonly string[] {
  const tokens: string[] = [];
  const text = expression.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw invalid(text.slice(at).trimStart().slice(0, 1));
    tokens.push(match[0].trim().toLowerCase());
  }
  return tokens;
}

function createReader(tokens: readonly string[]): Reader {
  let at = 0;
  return {
    peek: () => tokens[at] ?? '',
    take() {
      at += 1;
      return tokens[at - 1] ?? '';
    },
  };
}

function readSum(reader: Reader, depth: number): number {
  let value = readProduct(reader, depth);
  while (reader.peek() === '+' || reader.peek() === '-') {
    value =
      reader.take() === '+'
        ? value + readProduct(reader, depth)
        : value - readProduct(reader, depth);
  }
  return value;
}

function readProduct(reader: Reader, depth: number): number {
  let value = readSigned(reader, depth);
  for (;;) {
    switch (reader.peek()) {
      case '*':
        reader.take();
        value *= readSigned(reader, depth);
        break;
      case '/':
        reader.take();
        value /= readSigned(reader, depth);
        break;
      case '%':
        reader.take();
        value %= readSigned(reader, depth);
        break;
      default:
        return value;
    }
  }
}

/** A sign binds less than a power: -2 ^ 2 is -4. */
function readSigned(reader: Reader, depth: number): number {
  if (depth > MAX_DEPTH) throw new ToolInputError('"expression" is nested too deeply');
  if (reader.peek() === '+') {
    reader.take();
    return readSigned(reader, depth + 1);
  }
  if (reader.peek() === '-') {
    reader.take();
    return -readSigned(reader, depth + 1);
  }
  return readPower(reader, depth);
}

function readPower(reader: Reader, depth: number): number {
  const base = readOperand(reader, depth);
  if (reader.peek() !== '^') return base;
  reader.take();
  return base ** readSigned(reader, depth + 1);
}

function readOperand(reader: Reader, depth: number): number {
  const token = reader.take();
  if (/^[\d.]/.test(token)) return Number(token);
  if (token === '(') {
    const value = readSum(reader, depth + 1);
    expectToken(reader, ')');
    return value;
  }
  const constant = CONSTANTS.get(token);
  if (constant !== undefined) return constant;
  const apply = FUNCTIONS.get(token);
  if (apply === undefined) throw invalid(token);
  return apply(...readArguments(reader, depth));
}

function readArguments(reader: Reader, depth: number): number[] {
  expectToken(reader, '(');
  const values = [readSum(reader, depth + 1)];
  while (reader.peek() === ',') {
    reader.take();
    values.push(readSum(reader, depth + 1));
  }
  expectToken(reader, ')');
  return values;
}

function expectToken(reader: Reader, token: string): void {
  const found = reader.take();
  if (found !== token)
    throw new ToolInputError(`"expression" must have "${token}" ${placeOf(found)}`);
}

function placeOf(found: string): string {
  return found === '' ? 'at its end' : `before "${found}"`;
}

function invalid(token: string): ToolInputError {
  return new ToolInputError(
    token === '' ? '"expression" ends too early' : `"expression" must not have "${token}" there`,
  );
}
