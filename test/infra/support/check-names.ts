import { basename } from 'node:path';
import type { Node } from 'web-tree-sitter';
import {
  at,
  bodyOf,
  childrenOf,
  declarations,
  nodesOf,
  plainText,
  propertiesOf,
  propertyOf,
  type BicepFile,
} from './bicep-tree.ts';

/** The functions of Bicep that the templates use, and its two namespaces. */
const BUILT_IN = new Set(
  `az sys array concat contains empty environment filter first guid join length loadTextContent map max
  range replace resourceGroup skip split string subscription subscriptionResourceId tenant toLower
  toObject trim union uniqueString`.split(/\s+/),
);

const KINDS = ['parameter', 'variable', 'resource', 'module', 'output'] as const;

/** Undeclared names, and unused parameters and variables. */
export function checkNames(file: BicepFile): string[] {
  const declared = new Set(
    KINDS.flatMap((kind) => declarations(file, kind)).map(({ name }) => name),
  );
  const used = nodesOf(file.root, 'identifier').filter((node) => isReference(node));
  const unknown = used
    .filter(({ text }) => !declared.has(text) && !BUILT_IN.has(text))
    .filter((node) => !localNames(node).has(node.text))
    .map((node) => `${at(file, node)} nothing is called ${node.text}`);
  const texts = new Set(used.map(({ text }) => text));
  const idle = [...declarations(file, 'parameter'), ...declarations(file, 'variable')]
    .filter(({ name }) => !texts.has(name))
    .map(({ name, node }) => `${at(file, node)} nothing uses ${name}`);
  return [...unknown, ...idle];
}

/** Whether an identifier is used, rather than declared. */
function isReference(node: Node): boolean {
  const parent = node.parent;
  if (parent === null) return false;
  if (parent.type === 'decorator' || isIn(node, 'decorators')) return false;
  const isFirst = childrenOf(parent)[0]?.id === node.id;
  if (parent.type.endsWith('_declaration')) return !isFirst;
  if (parent.type === 'object_property') return !isFirst;
  if (parent.type === 'lambda_expression') return !isFirst;
  return parent.type !== 'lambda_arguments';
}

function isIn(node: Node, type: string): boolean {
  if (node.type === type) return true;
  return node.parent === null ? false : isIn(node.parent, type);
}

/** The names that the loops and lambdas around a node declare. */
function localNames(node: Node): Set<string> {
  const names = new Set<string>();
  for (let outer = node.parent; outer !== null; outer = outer.parent) {
    if (outer.type === 'for_statement') {
      // `for item in` names it directly, `for (item, i) in` one level deeper.
      names.add(childrenOf(outer)[0]?.text ?? '');
      for (const one of nodesOf(outer, 'loop_variable', 'loop_enumerator')) names.add(one.text);
    }
    if (outer.type === 'lambda_expression') names.add(childrenOf(outer)[0]?.text ?? '');
  }
  return names;
}

/** Missing and unknown parameters of modules, and outputs that do not exist. */
export function checkModules(file: BicepFile, modules: readonly BicepFile[]): string[] {
  return declarations(file, 'module').flatMap(({ name, node }) => {
    const path = plainText(childrenOf(node).find(({ type }) => type === 'string')) ?? '';
    const module = modules.find((one) => basename(one.path) === basename(path));
    if (module === undefined) return [`${at(file, node)} there is no ${path}`];
    return checkParameters(file, { node, module }).concat(checkOutputs(file, { name, module }));
  });
}

function checkParameters(
  file: BicepFile,
  { node, module }: { readonly node: Node; readonly module: BicepFile },
): string[] {
  const given = propertyOf(bodyOf(node), 'params');
  const names = new Set(given === undefined ? [] : propertiesOf(given).map(({ name }) => name));
  const wanted = declarations(module, 'parameter');
  const known = new Set(wanted.map(({ name }) => name));
  return [
    ...[...names]
      .filter((name) => !known.has(name))
      .map((name) => `${at(file, node)} ${module.path} has no parameter ${name}`),
    ...wanted
      .filter((one) => !names.has(one.name) && !hasDefault(one.node))
      .map((one) => `${at(file, node)} ${module.path} needs the parameter ${one.name}`),
  ];
}

/** A default follows name and type. */
export function hasDefault(parameter: Node): boolean {
  return childrenOf(parameter).length > 2;
}

function checkOutputs(
  file: BicepFile,
  { name, module }: { readonly name: string; readonly module: BicepFile },
): string[] {
  const known = new Set(declarations(module, 'output').map((output) => output.name));
  const pattern = new RegExp(`\\b${name}\\.\\??outputs\\.(\\w+)`, 'g');
  return [...file.root.text.matchAll(pattern)]
    .map(([, output = '']) => output)
    .filter((output) => !known.has(output))
    .map((output) => `${file.path} ${module.path} has no output ${output}`);
}
