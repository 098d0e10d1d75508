import { hash } from 'node:crypto';

/** Everything that an answer depends on. What is missing here would leak into other answers. */
export interface CacheKeyParts {
  /** Whose answer it is: no two callers ever share one. */
  readonly callerId: string;
  /** Endpoint and model, as configured. */
  readonly model: string;
  /** Whatever else is sent to the model: temperature, output bound, response format, seed. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Changes with every change of instructions, guardrails or post-processing. */
  readonly promptVersion: string;
  readonly tools: readonly unknown[];
  /** The whole conversation, the instructions included. */
  readonly messages: readonly unknown[];
}

/** Changes with the shape of the key or of an entry, so that old entries are never read as new. */
const FORMAT = 1;

/** SHA-256 over canonical JSON: field borders cannot be forged, and the store learns nothing. */
export function cacheKey(parts: CacheKeyParts): string {
  const { callerId, model, parameters, promptVersion, tools, messages } = parts;
  const text = canonicalJson({
    format: FORMAT,
    callerId,
    model,
    parameters,
    promptVersion,
    tools,
    messages,
  });
  return hash('sha256', text, 'base64url');
}

/**
 * One text for one value, whatever the order of its fields: keys sorted, no white space, fields
 * that are undefined left out. Two different values never give the same text.
 * @throws TypeError where JSON cannot tell the value apart from another one
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isPlainObject(value)) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  throw new TypeError(
    `Cannot write canonical JSON as every value must be plain: current type is ${typeof value}`,
  );
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
