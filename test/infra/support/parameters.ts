import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { declarations, type BicepFile } from './bicep-tree.ts';
import { hasDefault } from './check-names.ts';

const schema = z.strictObject({
  $schema: z.string(),
  contentVersion: z.literal('1.0.0.0'),
  parameters: z.record(z.string(), z.strictObject({ value: z.string() })),
});

/** One line of main.parameters.json: where azd takes the value from. */
export interface ParameterSource {
  readonly parameter: string;
  readonly variable: string;
  /** Undefined if azd always has a value. */
  readonly default: string | undefined;
}

export function readParameterFile(
  text = readFileSync('infra/main.parameters.json', 'utf8'),
): ParameterSource[] {
  const { parameters } = schema.parse(JSON.parse(text));
  return Object.entries(parameters).map(([parameter, { value }]) => {
    const [, variable = '', fallback] = /^\$\{([A-Z_]+)(?:=(.*))?\}$/.exec(value) ?? [];
    return { parameter, variable, default: fallback };
  });
}

interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly isSecure: boolean;
  readonly default: string | undefined;
}

export function readParameters(main: BicepFile): Parameter[] {
  return declarations(main, 'parameter').map(({ name, node }) => {
    const before = node.previousNamedSibling;
    const decorators = before?.type === 'decorators' ? before.text : '';
    const [, type = '', fallback] = /^param \w+ (\w+)(?: = (.+))?$/.exec(node.text) ?? [];
    return {
      name,
      type,
      isSecure: decorators.includes('@secure()'),
      default: hasDefault(node) ? fallback?.replaceAll(/^'|'$/g, '') : undefined,
    };
  });
}

/** Where file and template disagree: missing, unknown, another default, a value of the wrong type. */
export function checkParameters(main: BicepFile, sources: readonly ParameterSource[]): string[] {
  const wanted = new Map(readParameters(main).map((parameter) => [parameter.name, parameter]));
  const given = new Set(sources.map(({ parameter }) => parameter));
  const missing = [...wanted.keys()].filter((name) => !given.has(name));
  return [
    ...missing.map((name) => `${name} has no line`),
    ...sources.flatMap(({ parameter, variable, default: fallback }) => {
      const found = wanted.get(parameter);
      if (found === undefined) return [`${parameter} is no parameter`];
      if (variable === '') return [`${parameter} is not taken from the environment`];
      if (found.default === undefined) return [];
      if (fallback !== found.default) return [`${parameter} has two defaults`];
      if (!TYPES[found.type]?.test(fallback)) return [`${parameter} is not of type ${found.type}`];
      return [];
    }),
  ];
}

/** azd converts text to numbers and booleans; invalid text would fail only in the cloud. */
const TYPES: Readonly<Record<string, RegExp>> = {
  string: /^.*$/,
  int: /^-?\d+$/,
  bool: /^(?:true|false)$/,
  array: /^\[\]$/,
};
