import type * as z from 'zod';
import { ServiceError } from '../errors.ts';

type Issue = z.core.$ZodIssue;

const MAX_PARAM_CHARS = 200;
/** A higher bound on an output is a mistake. The settings lower what a request may have. */
export const MAX_OUTPUT_TOKENS = 1_000_000;

/**
 * Parses outside data with a schema.
 * @throws ServiceError invalid_request naming the first invalid field, never its value
 */
export function parseRequest<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { param, expected } = describeIssue(result.error, value);
  const name = param === undefined ? 'the body' : `"${param}"`;
  throw new ServiceError('invalid_request', `Cannot accept the request: ${name} ${expected}`, {
    param,
  });
}

/** The first invalid field and what was expected of it; never its value. */
export interface ValidationIssue {
  /** A dotted path; undefined if the issue is about the whole value. */
  readonly param: string | undefined;
  readonly expected: string;
  /** The same without names that the caller chose, for the log. */
  readonly loggable: string;
}

export function describeIssue({ issues: [first] }: z.ZodError, value: unknown): ValidationIssue {
  const issue = first === undefined ? undefined : innermost(first);
  const param = fieldOf(issue);
  const expected = expectedBy(issue, value);
  const isUnknownField = issue?.code === 'unrecognized_keys';
  const loggable = isUnknownField ? 'it has an unknown field' : `${quoted(param)} ${expected}`;
  return { param, expected, loggable };
}

/**
 * The issue to report of a union. An alternative that fails below its top has the shape of the
 * value, so its own issue says more than the issue of the union.
 */
function innermost(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const [deepest] = issue.errors
    .flatMap(([inner]) => (inner === undefined ? [] : [innermost(inner)]))
    .filter(({ path, code }) => path.length > 0 || code === 'unrecognized_keys')
    .sort((one, other) => other.path.length - one.path.length);
  return deepest === undefined ? issue : { ...deepest, path: [...issue.path, ...deepest.path] };
}

function quoted(param: string | undefined): string {
  return param === undefined ? 'it' : `"${param}"`;
}

function fieldOf(issue: Issue | undefined): string | undefined {
  const path = issue?.path.map(String) ?? [];
  if (issue?.code === 'unrecognized_keys') path.push(issue.keys[0] ?? '');
  return path.length === 0 ? undefined : path.join('.').slice(0, MAX_PARAM_CHARS);
}

function expectedBy(issue: Issue | undefined, value: unknown): string {
  if (issue === undefined) return 'is not valid';
  const expected = requirementOf(issue);
  const isMissingField = issue.code !== 'unrecognized_keys' && isMissing(issue, value);
  return isMissingField && expected.startsWith('must ') ? `is required and ${expected}` : expected;
}

function requirementOf(issue: Issue): string {
  // Messages of our schemas begin like this, those of the library do not.
  if (issue.message.startsWith('must ')) return issue.message;
  switch (issue.code) {
    case 'unrecognized_keys':
      return 'is not a field that is known here';
    case 'invalid_type':
      return `must be of type ${issue.expected}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'too_small':
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'invalid_union':
      return unionRequirement(issue);
    case 'custom':
      return issue.message;
    default:
      return 'is not valid';
  }
}

/** The types of the alternatives, or the values of the field that tells them apart. */
function unionRequirement(issue: Extract<Issue, { code: 'invalid_union' }>): string {
  if ('options' in issue && issue.options !== undefined) return oneOf(issue.options);
  const types = issue.errors.flatMap(([inner]) =>
    inner?.code === 'invalid_type' ? [inner.expected] : [],
  );
  return types.length === 0 ? 'is not valid' : `must be of type ${types.join(' or ')}`;
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1
    ? `must be ${String(values[0])}`
    : `must be one of ${values.map(String).join(', ')}`;
}

/** An issue has no input value, and only a field can be missing. */
function isMissing({ path }: Issue, value: unknown): boolean {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return true;
    found = Reflect.get(found, step);
  }
  return false;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' items long' : '';
}
