import * as z from 'zod';
import { type Context, createContext, runInContext } from 'node:vm';

/** Why a value does not match a schema. */
export interface SchemaProblem {
  /** JSON Pointer of the value; empty for the whole value. */
  readonly path: string;
  /** What was expected there. It may quote names of the schema, never values. */
  readonly expected: string;
}

/**
 * Checks a value; undefined if it matches.
 * @throws SchemaError if the check takes too long
 */
export type ValidateValue = (value: unknown) => SchemaProblem | undefined;

/** Compiling a schema of 450 properties takes 100 ms; one that takes longer is built to be slow. */
const TIMEOUT_MS = 500;
const MAX_SCHEMA_CHARS = 65_536;
const MAX_COMPILED_SCHEMAS = 32;
const MAX_PATH_CHARS = 200;

/** A batch has the same schema in every item. */
const compiled = new Map<string, Promise<ValidateValue>>();

/** A schema from outside cannot be used. Its message completes "the schema ...". */
export class SchemaError extends Error {
  constructor(expected: string) {
    super(expected);
    this.name = 'SchemaError';
  }
}

/**
 * Compiles a JSON Schema from outside, given as JSON text: bounded in size and time, without
 * references to other documents.
 * @throws SchemaError
 */
export function compileSchema(schema: string): Promise<ValidateValue> {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const compiling = compile(schema);
  compiled.set(schema, compiling);
  compiling.catch(() => compiled.delete(schema));
  const [oldest] = compiled.keys();
  if (compiled.size > MAX_COMPILED_SCHEMAS && oldest !== undefined) compiled.delete(oldest);
  return compiling;
}

/** The validator is loaded by the first request with a schema. */
async function compile(text: string): Promise<ValidateValue> {
  if (text.length > MAX_SCHEMA_CHARS) {
    throw new SchemaError(`must have at most ${MAX_SCHEMA_CHARS} characters`);
  }
  const { $schema: _dialect, ...schema } = z
    .record(z.string(), z.unknown())
    .parse(JSON.parse(text));
  checkKeywords(schema);
  // The bundle has the default export only: the package is CommonJS.
  const { Ajv2020 } = (await import('ajv/dist/2020.js')).default;
  const ajv = new Ajv2020({
    strict: false,
    meta: false,
    validateSchema: false,
    // `format` is an annotation, as the standard has it.
    validateFormats: false,
    // Schemas come from many languages; not all of their patterns are valid in Unicode mode.
    unicodeRegExp: false,
    logger: false,
  });
  const check = runInTime(() => ajv.compile(schema), 'must be a valid JSON Schema');
  return (value) => {
    if (runInTime(() => check(value), 'must be simple enough to be checked in time')) {
      return undefined;
    }
    const [error] = check.errors ?? [];
    return {
      path: (error?.instancePath ?? '').slice(0, MAX_PATH_CHARS).toWellFormed(),
      expected: error?.message ?? 'must match the schema',
    };
  };
}

/** The depth of a request is limited, so recursion is safe. */
function checkKeywords(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) checkKeywords(item);
  if (!isObject(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    const isReference = name === '$ref' || name === '$dynamicRef';
    if (isReference && typeof inner === 'string' && !inner.startsWith('#')) {
      throw new SchemaError('must not refer to other documents');
    }
    if (name === '$async') throw new SchemaError('must not have the keyword $async');
    checkKeywords(inner);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

let sandbox: Context | undefined;

/**
 * Runs code that depends on the schema of a caller. References and patterns of a few lines can take
 * years; the time limit of a virtual machine context interrupts both.
 * @throws SchemaError with the given text if the code fails or takes too long
 */
function runInTime<T>(run: () => T, expected: string): T {
  sandbox ??= createContext({});
  sandbox['run'] = run;
  try {
    return runInContext('run()', sandbox, { timeout: TIMEOUT_MS }) as T;
  } catch {
    throw new SchemaError(expected);
  } finally {
    delete sandbox['run'];
  }
}
