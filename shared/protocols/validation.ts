import type * as z from 'zod';
import { ServiceError } from '../errors.ts';

type Issue = z.core.$ZodIssue;

const MAX_PARAM_CHARS = 200;

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

export function describeIssue({ issues: [issue] }: z.ZodError, value: unknown): ValidationIssue {
  const param = fieldOf(issue);
  const expected = expectedBy(issue, value);
  const isUnknownField = issue?.code === 'unrecognized_keys';
  const loggable = isUnknownField ? 'it has an unknown field' : `${quoted(param)} ${expected}`;
  return { param, expected, loggable };
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
  switch (issue?.code) {
    case 'unrecognized_keys':
      return 'is not a field that is known here';
    case 'invalid_type':
      return isMissing(issue, value)
        ? `is required and must be of type ${issue.expected}`
        : `must be of type ${issue.expected}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'too_small':
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'custom':
      return issue.message;
    default:
      return 'is not valid';
  }
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
