import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { ResponseFormat } from '../model/model.ts';
import { createJsonPrefix, type JsonPrefix } from './json-prefix.ts';
import { compileSchema, SchemaError, type SchemaProblem } from './json-schema.ts';

/** Checks the answers of one run against its response format. */
export interface OutputCheck {
  /** Undefined if the text is the requested answer. */
  validate(text: string): SchemaProblem | undefined;
  /** A check of one streamed text. */
  startPrefix(): JsonPrefix;
}

type SchemaFormat = Extract<ResponseFormat, { type: 'json_schema' }>;

const NOT_JSON: SchemaProblem = { path: '', expected: 'must be JSON' };

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
    const validate = await compileSchema(JSON.stringify(format.schema));
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
