import { parseConstraint } from './constraints.ts';

/** A route template, compiled once: gives the values of a path, or undefined when it does not fit. */
export type RouteMatcher = (path: string) => Readonly<Record<string, string>> | undefined;

interface Parameter {
  readonly name: string;
  readonly isCatchAll: boolean;
  readonly isOptional: boolean;
  readonly fallback: string | undefined;
  readonly checks: readonly ((value: string) => boolean)[];
}

type Part = string | Parameter;

/** Compiles a template such as `api/items/{id:int}/{*rest}`; letter case of the path does not matter. */
export function parseTemplate(template: string): RouteMatcher {
  const segments = splitOutsideBraces(template, '/').map(parseSegment);
  const parameters = segments.flat().filter((part) => typeof part !== 'string');
  requireSense(segments, parameters);
  const pattern = new RegExp(`^${segments.map(patternOfSegment).join('')}/?$`, 'is');
  return (path) => {
    const match = pattern.exec(path);
    if (match === null) return undefined;
    const values: Record<string, string> = {};
    for (const [index, { name, fallback, checks }] of parameters.entries()) {
      const value = match[index + 1];
      if (value === undefined || value === '') {
        if (fallback !== undefined) values[name] = fallback;
        continue;
      }
      if (!checks.every((check) => check(value))) return undefined;
      values[name] = value;
    }
    return values;
  };
}

function parseSegment(text: string): Part[] {
  const parts: Part[] = [];
  let literal = '';
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index] ?? '';
    if ((char === '{' || char === '}') && text[index + 1] === char) {
      literal += char;
      index += 1;
    } else if (char === '{') {
      const end = endOfParameter(text, index);
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(parseParameter(text.slice(index + 1, end)));
      index = end;
    } else if (char === '}') throw new Error(`'${text}' closes a brace that is not open`);
    else literal += char;
  }
  if (literal !== '') parts.push(literal);
  return parts;
}

/** Braces inside a parameter (of a regular expression) are doubled. */
function endOfParameter(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index += 1) {
    if (text[index] !== '}' && text[index] !== '{') continue;
    if (text[index + 1] === text[index]) index += 1;
    else if (text[index] === '}') return index;
  }
  throw new Error(`'${text}' opens a brace that is not closed`);
}

function parseParameter(text: string): Parameter {
  const body = text.replaceAll('{{', '{').replaceAll('}}', '}');
  const stars = /^\*{0,2}/.exec(body)?.[0].length ?? 0;
  const [head = '', ...constraints] = splitOutsideBraces(body.slice(stars), ':');
  const last = constraints.at(-1) ?? head;
  const isOptional = last.endsWith('?');
  const trimmed = isOptional ? last.slice(0, -1) : last;
  const equals = constraints.at(-1)?.startsWith('regex') === true ? -1 : trimmed.indexOf('=');
  const rest = equals < 0 ? trimmed : trimmed.slice(0, equals);
  const name = constraints.length === 0 ? rest : head;
  if (!/^[^/{}?*=:]+$/.test(name)) throw new Error(`the parameter '{${text}}' has no valid name`);
  const all = constraints.length === 0 ? [] : [...constraints.slice(0, -1), rest];
  return {
    name,
    isCatchAll: stars > 0,
    isOptional,
    fallback: equals < 0 ? undefined : trimmed.slice(equals + 1),
    checks: all.map(parseConstraint),
  };
}

/** Splits where the separator stands outside braces and parentheses. */
function splitOutsideBraces(text: string, separator: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const char of text) {
    if (char === '{' || char === '(') depth += 1;
    if (char === '}' || char === ')') depth -= 1;
    if (char === separator && depth === 0) parts.push('');
    else parts.push((parts.pop() ?? '') + char);
  }
  return parts;
}

function patternOfSegment(parts: readonly Part[]): string {
  const [only] = parts;
  if (parts.length === 1 && typeof only === 'object') {
    if (only.isCatchAll) return '(?:/(.*))?';
    const mayMiss = only.isOptional || only.fallback !== undefined;
    return mayMiss ? '(?:/([^/]+))?' : '/([^/]+)';
  }
  const [last, before] = [parts.at(-1), parts.at(-2)];
  // In `{name}.{extension?}` the dot goes with the extension.
  if (typeof last === 'object' && last.isOptional && before === '.') {
    return `/${parts.slice(0, -2).map(patternOfPart).join('')}(?:\\.([^/]+))?`;
  }
  return `/${parts.map(patternOfPart).join('')}`;
}

function patternOfPart(part: Part): string {
  return typeof part === 'string'
    ? part.replace(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
    : '([^/]+?)';
}

function requireSense(segments: readonly Part[][], parameters: readonly Parameter[]): void {
  if (segments.some((parts) => parts.length === 0) && segments.length > 1) {
    throw new Error('it has an empty segment');
  }
  const names = parameters.map(({ name }) => name.toLowerCase());
  if (new Set(names).size < names.length) throw new Error('it names a parameter twice');
  const catchAll = segments.findIndex((parts) =>
    parts.some((part) => typeof part === 'object' && part.isCatchAll),
  );
  if (catchAll >= 0 && catchAll < segments.length - 1) {
    throw new Error('a catch-all parameter must be last');
  }
}
