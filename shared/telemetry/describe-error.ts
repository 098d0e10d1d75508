import { ServiceError } from '../errors.ts';

const MAX_CHAIN = 4;
const MAX_FRAMES = 3;

/** What a code may look like; a text in its place could hold anything. */
const CODE = /^[\w.-]{1,64}$/;
/** A stack frame: what was called, and the last part of the file with its position. */
const FRAME = /^\s+at (?:(.*) \()?(?:.*[\\/])?([\w.:-]+:\d+:\d+|<anonymous>|native)\)?$/;
const CALLED = /^[\w$.<>#[\] ]{1,80}$/;

/**
 * A thrown value as one short text for the log: class and code of the error and of its causes.
 * Messages of errors that are not ours are left out: libraries put URLs, keys and request
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

/** The innermost places of the code that a thrown value passed, without its message or folders. */
export function stackFrames(thrown: unknown): string {
  if (!(thrown instanceof Error) || typeof thrown.stack !== 'string') return 'unknown';
  // A message of several lines can look like frames.
  const stack = thrown.stack.replace(thrown.message, '');
  const places = stack
    .split('\n')
    .map(describeFrame)
    .filter((place) => place !== '');
  return places.slice(0, MAX_FRAMES).join(' | ') || 'unknown';
}

function describeFrame(line: string): string {
  const [, called = '', position] = FRAME.exec(line) ?? [];
  if (position === undefined) return '';
  return CALLED.test(called) ? `${called} ${position}` : position;
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

/** Clients of model endpoints and of storage have two names for it. */
function statusOf(thrown: Error): string {
  const { status, statusCode = status } = thrown as { status?: unknown; statusCode?: unknown };
  return typeof statusCode === 'number' ? ` ${statusCode}` : '';
}

/** The class, not the `name` property: that one can be any text. */
function nameOf(thrown: Error): string {
  const maker: unknown = thrown.constructor;
  return typeof maker === 'function' && CODE.test(maker.name) ? maker.name : 'Error';
}
