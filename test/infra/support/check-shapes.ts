import type { Node } from 'web-tree-sitter';
import {
  at,
  bodyOf,
  childrenOf,
  declarations,
  isExisting,
  plainText,
  propertiesOf,
  propertyOf,
  resourceType,
  type BicepFile,
} from './bicep-tree.ts';
import type { ObjectShape, Shape } from './shape.ts';

export type Shapes = Readonly<Record<string, ObjectShape>>;

/** Properties that every resource may have. */
const OF_THE_LANGUAGE = new Set(['parent', 'scope', 'dependsOn']);

/** Syntax errors, unknown types and API versions, unknown or missing properties, wrong kinds and values. */
export function checkResources(file: BicepFile, shapes: Shapes): string[] {
  const syntax = file.root.hasError ? [`${file.path} is not valid Bicep`] : [];
  const wrong = declarations(file, 'resource').flatMap(({ node }) => {
    const type = resourceType(node);
    const shape = shapes[shapeName(node)] ?? shapes[type];
    if (shape === undefined) return [`${at(file, node)} ${type} is no known type and API version`];
    const body = bodyOf(node);
    if (body === undefined || isExisting(node)) return [];
    return checkObject({ file, node: body, isResource: true }, shape);
  });
  return [...syntax, ...wrong];
}

/** Some types have one shape for each name, such as the configurations of a site. */
function shapeName(node: Node): string {
  const name = plainText(propertyOf(bodyOf(node), 'name'));
  return `${resourceType(node)} ${name ?? ''}`;
}

interface Place {
  readonly file: BicepFile;
  readonly node: Node;
  readonly isResource?: boolean;
}

function checkObject({ file, node, isResource = false }: Place, shape: ObjectShape): string[] {
  const known = new Map(
    Object.entries(shape).map(([key, inner]) => [key.replace(/!$/, ''), inner]),
  );
  const present = propertiesOf(node);
  const names = new Set(present.map(({ name }) => name));
  const unknown = present
    .filter(({ name, suppressed }) => !known.has(name) && !suppressed)
    .filter(({ name }) => !(isResource && OF_THE_LANGUAGE.has(name)))
    .map((property) => `${at(file, property.node)} '${property.name}' is no property here`);
  const missing = Object.keys(shape)
    .filter((key) => key.endsWith('!') && !names.has(key.slice(0, -1)))
    .map((key) => `${at(file, node)} '${key.slice(0, -1)}' is missing`);
  const inner = present.flatMap(({ name, value }) => {
    const wanted = known.get(name);
    return wanted === undefined ? [] : checkValue({ file, node: value }, wanted);
  });
  return [...unknown, ...missing, ...inner];
}

function checkValue({ file, node }: Place, shape: Shape): string[] {
  if (node.type === 'ternary_expression') {
    return ['consequence', 'alternative'].flatMap((field) => {
      const branch = node.childForFieldName(field);
      return branch === null || branch.text === 'null'
        ? []
        : checkValue({ file, node: branch }, shape);
    });
  }
  const kind = LITERALS[node.type];
  if (kind === undefined || shape === 'any') return [];
  if (isChoice(shape)) return checkChoice({ file, node }, shape);
  if (typeof shape === 'string') {
    return kind === shape ? [] : [`${at(file, node)} ${node.text} is ${kind} instead of ${shape}`];
  }
  if ('each' in shape) {
    if (kind !== 'array') return [`${at(file, node)} ${node.text} is ${kind} instead of array`];
    const { each } = shape;
    return childrenOf(node).flatMap((item) => checkValue({ file, node: item }, each));
  }
  if (kind !== 'object') return [`${at(file, node)} ${node.text} is ${kind} instead of object`];
  return checkObject({ file, node }, shape);
}

function isChoice(shape: Shape): shape is readonly string[] {
  return Array.isArray(shape);
}

function checkChoice({ file, node }: Place, choices: readonly string[]): string[] {
  const text = plainText(node);
  const isComputed = node.type === 'string' && text === undefined;
  if (isComputed || (text !== undefined && choices.includes(text))) return [];
  return [`${at(file, node)} ${node.text} is none of ${choices.join(', ')}`];
}

/** Only literals can be checked without evaluating the template. */
const LITERALS: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'int',
  boolean: 'bool',
  object: 'object',
  array: 'array',
};
