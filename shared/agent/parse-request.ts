import type { z } from 'zod';
import { ServiceError } from '../errors.ts';

type Issue = z.core.$ZodIssue;

/**
 * Outside data through a schema.
 * @throws ServiceError invalid_request naming the first field that is wrong, never its value
 */
export function parseRequest<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = issue === undefined ? '' : fieldOf(issue);
  const name = param === '' ? 'the body' : `"${param}"`;
  throw new ServiceError(
    'invalid_request',
    `Cannot accept the request: ${name} ${wantedBy(issue)}`,
    {
      param: param === '' ? undefined : param,
    },
  );
}

function fieldOf(issue: Issue): string {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') path.push(issue.keys[0] ?? '');
  return path.join('.').slice(0, 200);
}

function wantedBy(issue: Issue | undefined): string {
  switch (issue?.code) {
    case 'unrecognized_keys':
      return 'is not a field that is known here';
    case 'invalid_type':
      return issue.input === undefined && issue.path.length > 0
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

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' items long' : '';
}
