import type { Node } from 'oxc-parser';
import { visitNodes, type ParsedFile } from '../../../dev/structure/syntax.ts';
import { CLIENTS } from '../module-rules.ts';
import { isListed, listInWords } from './locate.ts';

/** Static methods of SDK classes that build a client as `new` does. */
const FACTORY_METHODS: ReadonlySet<string> = new Set(['fromConnectionString', 'fromEnv']);

/** Clients built anywhere but in their adapter. */
export function checkClients({ path, program }: ParsedFile): string[] {
  const importedNames = readImportedNames(program);
  const problems: string[] = [];
  visitNodes(program, (node) => {
    const local = builtClass(node);
    if (local === undefined) return;
    const name = importedNames.get(local) ?? local;
    const client = CLIENTS.find((one) => one.name.test(name));
    if (client === undefined || isListed(path, client.in)) return;
    const places = client.in.length === 0 ? 'the adapter of its package' : listInWords(client.in);
    problems.push(`${path} builds ${name}; only ${places} may build it`);
  });
  return problems;
}

/** The class in `new X()`, `new sdk.X()` and `X.fromConnectionString()`. */
function builtClass(node: Node): string | undefined {
  if (node.type === 'NewExpression') return lastName(node.callee);
  if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return undefined;
  const method = lastName(node.callee);
  return FACTORY_METHODS.has(method ?? '') ? lastName(node.callee.object) : undefined;
}

function lastName(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name;
  return node.type === 'MemberExpression' ? lastName(node.property) : undefined;
}

/** Local name to exported name, for what was imported under another name, lazily or not. */
function readImportedNames(program: Node): Map<string, string> {
  const names = new Map<string, string>();
  visitNodes(program, (node) => {
    if (node.type === 'ImportSpecifier' && node.imported.type === 'Identifier') {
      names.set(node.local.name, node.imported.name);
    }
    if (node.type !== 'ObjectPattern') return;
    for (const property of node.properties) {
      if (property.type !== 'Property' || property.key.type !== 'Identifier') continue;
      if (property.value.type === 'Identifier') names.set(property.value.name, property.key.name);
    }
  });
  return names;
}
