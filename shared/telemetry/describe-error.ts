import { ServiceError } from '../errors.ts';

const MAX_CHAIN = 4;
const MAX_FRAMES = 3;

/** The format of error codes; other texts could contain anything. */
const CODE = /^[\w.-]{1,64}$/;
/** A stack frame: the function, and the file name with its position. */
const FRAME = /^\s+at (?:(.*) \()?(?:.*[\\/])?([\w.:-]+:\d+:\d+|<anonymous>|native)\)?$/;
const FUNCTION_NAME = /^[\w$.<>#[\] ]{1,80}$/;

/**
 * Describes a thrown value in one short text for the log: class and code of the error and of its
 * causes. Omits messages of errors that are not ours, because libraries put URLs, keys and request
 * bodies into them.
 */
export function describeError(thrown: unknown): string {
  const parts: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; depth < MAX_CHAIN && current !== undefined && current !== null; depth += 1) {
    parts.push(describeOne(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(' <- ');
}

/** The innermost stack frames of a thrown value, without message and folders. */
export function stackFrames(thrown: unknown): string {
  if (!(thrown instanceof Error) || typeof thrown.stack !== 'string') return 'unknown';
  // A message of several lines may contain text that looks like frames.
  const stack = thrown.stack.replace(thrown.message, '');
  const frames = stack
    .split('\n')
    .map(describeFrame)
    .filter((frame) => frame !== '');
  return frames.slice(0, MAX_FRAMES).join(' | ') || 'unknown';
}

function describeFrame(line: string): string {
  const [, name = '', position] = FRAME.exec(line) ?? [];
  if (position === undefined) return '';
  return FUNCTION_NAME.test(name) ? `${name} ${position}` : position;
}

function describeOne(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const name = nameOf(thrown);
  if (thrown instanceof ServiceError) return `${name} ${thrown.code}: ${thrown.message}`;
  const code =
    'code' in thrown && typeof thrown.code === 'string' && CODE.test(thrown.code)
      ? ` ${thrown.code}`
      : '';
  return `${name}${code}${statusOf(thrown)}`;
}

/** Clients of model endpoints use `status`, clients of storage use `statusCode`. */
function statusOf(thrown: Error): string {
  const { status, statusCode = status } = thrown as { status?: unknown; statusCode?: unknown };
  return typeof statusCode === 'number' ? ` ${statusCode}` : '';
}

/** The class name; the `name` property may be any text. */
function nameOf(thrown: Error): string {
  const type: unknown = thrown.constructor;
  return typeof type === 'function' && CODE.test(type.name) ? type.name : 'Error';
}
