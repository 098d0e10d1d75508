import * as z from 'zod';
import { type Context, createContext, runInContext } from 'node:vm';
import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { ResponseFormat } from '../model/model.ts';
import { createJsonPrefix, type JsonPrefix } from './json-prefix.ts';

/** Why a text is not the requested answer. */
export interface OutputProblem {
  /** JSON Pointer of the value; empty for the whole answer. */
  readonly path: string;
  /** What was expected there. It may quote names of the schema, never values. */
  readonly expected: string;
}

/** Checks the answers of one run against its response format. */
export interface OutputCheck {
  /** Undefined if the text is the requested answer. */
  validate(text: string): OutputProblem | undefined;
  /** A check of one streamed text. */
  startPrefix(): JsonPrefix;
}

type SchemaFormat = Extract<ResponseFormat, { type: 'json_schema' }>;
/** @throws SchemaError if the check takes too long */
type Validate = (value: unknown) => OutputProblem | undefined;

/** Compiling a schema of 450 properties takes 100 ms; one that takes longer is built to be slow. */
const TIMEOUT_MS = 500;
const MAX_SCHEMA_CHARS = 65_536;
const MAX_COMPILED_SCHEMAS = 32;
const MAX_PATH_CHARS = 200;
const NOT_JSON: OutputProblem = { path: '', expected: 'must be JSON' };

/** A batch has the same schema in every item. */
const compiled = new Map<string, Promise<Validate>>();

/**
 * The check of a response format; undefined where any text is an answer. `param` names the schema in
 * errors.
 * @throws ServiceError invalid_request if the schema cannot be used
 */
export async function createOutputCheck(
  format: ResponseFormat,
  param?: string,
): Promise<OutputCheck | undefined> {
  switch (format.type) {
    case 'text':
      return undefined;
    case 'json_object':
      return {
        startPrefix: () => createJsonPrefix('object'),
        validate: (text) =>
          isObject(parseJson(text)) ? undefined : { path: '', expected: 'must be a JSON object' },
      };
    case 'json_schema':
      return createSchemaCheck(format, param);
  }
}

async function createSchemaCheck(
  format: SchemaFormat,
  param: string | undefined,
): Promise<OutputCheck> {
  const root = format.schema['type'] === 'object' ? 'object' : 'any';
  try {
    const validate = await compileOnce(JSON.stringify(format.schema));
    return {
      startPrefix: () => createJsonPrefix(root),
      validate(text) {
        const value = parseJson(text);
        if (value === undefined) return NOT_JSON;
        try {
          return validate(value);
        } catch (thrown) {
          throw toRequestError(thrown, param);
        }
      },
    };
  } catch (thrown) {
    throw toRequestError(thrown, param);
  }
}

/** The schema of a caller cannot be used. */
class SchemaError extends Error {
  constructor(expected: string) {
    super(expected);
    this.name = 'SchemaError';
  }
}

function toRequestError(thrown: unknown, param: string | undefined): unknown {
  if (!(thrown instanceof SchemaError)) return thrown;
  const name = param === undefined ? 'the schema of the answer' : `"${param}"`;
  return new ServiceError(
    'invalid_request',
    `Cannot accept the request: ${name} ${thrown.message}`,
    {
      param,
    },
  );
}

function compileOnce(schema: string): Promise<Validate> {
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
async function compile(text: string): Promise<Validate> {
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
