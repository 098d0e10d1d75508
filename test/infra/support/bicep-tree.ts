import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Language, Parser, type Node, type Tree } from 'web-tree-sitter';

/** A Bicep file as a syntax tree. */
export interface BicepFile {
  readonly path: string;
  readonly root: Node;
}

export type ParseBicep = (path: string, text: string) => BicepFile;

/** Loads the grammar. */
export async function createBicepParser(): Promise<ParseBicep> {
  await Parser.init();
  const wasm = createRequire(import.meta.url).resolve('tree-sitter-bicep/tree-sitter-bicep.wasm');
  const parser = new Parser();
  parser.setLanguage(await Language.load(readFileSync(wasm)));
  return (path, text) => {
    const tree: Tree | null = parser.parse(text);
    if (tree === null) throw new Error(`Cannot parse ${path}`);
    return { path, root: tree.rootNode };
  };
}

export function at(file: BicepFile, node: Node): string {
  return `${file.path}:${node.startPosition.row + 1}`;
}

/** Every node of a kind, in the order of the text. */
export function nodesOf(root: Node, ...types: readonly string[]): Node[] {
  return root.descendantsOfType([...types]).filter((node) => node !== null);
}

export function childrenOf(node: Node): Node[] {
  return node.namedChildren.filter((child) => child !== null && child.type !== 'comment');
}

/** The text of a string without interpolation; undefined for anything else. */
export function plainText(node: Node | undefined): string | undefined {
  if (node?.type !== 'string') return undefined;
  if (childrenOf(node).some(({ type }) => type === 'interpolation')) return undefined;
  return node.text.replaceAll(/^'|'$/g, '');
}

export interface Property {
  readonly name: string;
  readonly value: Node;
  readonly node: Node;
  /** Whether a comment above it disables a diagnostic. */
  readonly suppressed: boolean;
}

/** The properties of an object literal; keys with interpolation are left out. */
export function propertiesOf(object: Node): Property[] {
  const found: Property[] = [];
  let suppressed = false;
  for (const child of childrenOf(object)) {
    if (child.type === 'diagnostic_comment') suppressed = true;
    if (child.type !== 'object_property') continue;
    const parts = childrenOf(child);
    const [key, value] = [parts[0], parts.at(-1)];
    const name = key?.type === 'string' ? plainText(key) : key?.text;
    if (name !== undefined && value !== undefined) {
      found.push({ name, value, node: child, suppressed });
    }
    suppressed = false;
  }
  return found;
}

export function propertyOf(object: Node | undefined, ...path: readonly string[]): Node | undefined {
  const [name, ...rest] = path;
  if (object === undefined || name === undefined) return object;
  const found = propertiesOf(object).find((property) => property.name === name);
  return propertyOf(found?.value, ...rest);
}

/** The object literal of a resource or module, inside its condition and loop. */
export function bodyOf(node: Node): Node | undefined {
  if (node.type === 'object') return node;
  for (const child of childrenOf(node).toReversed()) {
    if (!['object', 'if_statement', 'for_statement', 'array'].includes(child.type)) continue;
    const body = bodyOf(child);
    if (body !== undefined) return body;
  }
  return undefined;
}

/** A declaration of a resource, module, parameter, variable or output. */
export interface Declaration {
  readonly name: string;
  readonly node: Node;
}

export function declarations(file: BicepFile, kind: string): Declaration[] {
  return nodesOf(file.root, `${kind}_declaration`).map((node) => ({
    name: childrenOf(node).find(({ type }) => type === 'identifier')?.text ?? '',
    node,
  }));
}

/** Type and API version of a resource, as `Microsoft.X/y@2024-01-01`. */
export function resourceType(node: Node): string {
  return plainText(childrenOf(node).find(({ type }) => type === 'string')) ?? '';
}

export function isExisting(node: Node): boolean {
  return /^resource\s+\w+\s+'[^']+'\s+existing\b/.test(node.text);
}
