import type { Node } from 'oxc-parser';
import { isPropertyName, readImports } from '../../../dev/structure/read-imports.ts';
import { readStaticString, visitNodes, type ParsedFile } from '../../../dev/structure/syntax.ts';
import { ENVIRONMENT_READER } from '../module-rules.ts';

const GLOBAL_OBJECTS: ReadonlySet<string> = new Set(['globalThis', 'global']);
const TYPE_NODES: ReadonlySet<Node['type']> = new Set([
  'TSTypeAnnotation',
  'TSTypeQuery',
  'TSTypeReference',
]);

/** Every way to reach `process.env` outside the composition root. */
export function checkEnvironment(file: ParsedFile): string[] {
  if (file.path === ENVIRONMENT_READER) return [];
  const ways = new Set<string>();
  for (const { specifier, names } of readImports(file)) {
    if (!/^(?:node:)?process$/.test(specifier ?? '')) continue;
    if (names.some((name) => ['env', '*', 'default'].includes(name))) {
      ways.add(`imports env from ${specifier}`);
    }
  }
  visitNodes(file.program, (node, ancestors) => {
    const way = wayToEnvironment(node, ancestors);
    if (way !== undefined) ways.add(way);
  });
  return [...ways].map(
    (way) => `${file.path} ${way}; only ${ENVIRONMENT_READER} may read the environment`,
  );
}

function wayToEnvironment(node: Node, ancestors: readonly Node[]): string | undefined {
  if (node.type !== 'Identifier') return undefined;
  const parent = ancestors.at(-1);
  if (isPropertyName(node, parent) || isInType(ancestors)) return undefined;
  if (GLOBAL_OBJECTS.has(node.name)) return wayThroughGlobal(node, parent);
  if (node.name !== 'process') return undefined;
  const member = memberOf(node, parent);
  if (member === undefined) return 'takes process as a value';
  return member === 'env' ? 'reads process.env' : undefined;
}

/** `globalThis.name` is harmless unless the name is `process` or computed. */
function wayThroughGlobal(node: Node, parent: Node | undefined): string | undefined {
  const member = memberOf(node, parent);
  if (member === undefined) return 'takes the global object as a value';
  return member === 'process' ? 'takes process from the global object' : undefined;
}

/** The name in `object.name` or `object['name']`; undefined in every other use of the object. */
function memberOf(object: Node, parent: Node | undefined): string | undefined {
  if (parent?.type !== 'MemberExpression' || parent.object !== object) return undefined;
  const { property } = parent;
  if (parent.computed) return readStaticString(property);
  return property.type === 'Identifier' ? property.name : undefined;
}

function isInType(ancestors: readonly Node[]): boolean {
  return ancestors.some(({ type }) => TYPE_NODES.has(type));
}
