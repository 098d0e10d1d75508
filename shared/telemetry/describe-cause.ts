import { ServiceError } from '../errors.ts';

const MAX_CHAIN = 4;
const MAX_FRAMES = 3;

/**
 * A thrown value as one short text for the log: class and code of the error and of its causes.
 * Messages of errors that are not ours are left out: libraries put URLs, keys and request
 * bodies into them.
 */
export function describeCause(thrown: unknown): string {
  const parts: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; depth < MAX_CHAIN && current !== undefined && current !== null; depth += 1) {
    parts.push(describeOne(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(' <- ');
}

/** The innermost places of the code that a thrown value passed, without its message. */
export function describePlace(thrown: unknown): string {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return 'unknown';
  const frames = thrown.stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames
    .slice(0, MAX_FRAMES)
    .map((frame) => frame.trim().replace(/\(?(?:file:\/\/)?\/\S*\/(?=[^/]+$)/, '('))
    .join(' | ');
}

function describeOne(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const name = thrown.constructor.name;
  if (thrown instanceof ServiceError) return `${name} ${thrown.code}: ${thrown.message}`;
  const code = 'code' in thrown && typeof thrown.code === 'string' ? ` ${thrown.code}` : '';
  const status = 'status' in thrown && typeof thrown.status === 'number' ? ` ${thrown.status}` : '';
  return `${name}${code}${status}`;
}
