import type { Node } from 'oxc-parser';
import { isPropertyName } from '../../../dev/structure/read-imports.ts';
import { countLines, visitNodes, type ParsedFile } from '../../../dev/structure/syntax.ts';
import { MAX_TRIGGER_LINES } from '../module-rules.ts';

/** All that a trigger is made of. Whatever else the language has would be logic. */
const ALLOWED_NODES: ReadonlySet<string> = new Set<Node['type']>([
  'Program',
  'ImportDeclaration',
  'ImportSpecifier',
  'VariableDeclaration',
  'VariableDeclarator',
  'ExpressionStatement',
  'CallExpression',
  'MemberExpression',
  'ObjectExpression',
  'ArrayExpression',
  'Property',
  'Identifier',
  'Literal',
]);

/** A trigger imports, names constants and registers one function; it decides nothing. */
export function checkTrigger(file: ParsedFile): string[] {
  if (!file.path.startsWith('functions/')) return [];
  const { path } = file;
  const lines = countLines(file.text);
  const { registrations, otherUses } = countUsesOfApp(file);
  return [
    ...[...otherNodes(file)].map(
      (type) =>
        `${path} contains ${inWords(type)}; a trigger only imports, names constants and makes calls`,
    ),
    ...(registrations === 1
      ? []
      : [`${path} makes ${registrations} app calls; a trigger makes one`]),
    ...(otherUses === 0 ? [] : [`${path} passes app on; a trigger only calls it`]),
    ...(lines <= MAX_TRIGGER_LINES
      ? []
      : [`${path} has ${lines} lines; a trigger has at most ${MAX_TRIGGER_LINES}`]),
  ];
}

function otherNodes({ program }: ParsedFile): Set<string> {
  const others = new Set<string>();
  visitNodes(program, (node) => {
    const isMethod = node.type === 'Property' && node.kind !== 'init';
    if (!ALLOWED_NODES.has(node.type) || isMethod) others.add(node.type);
    if (node.type === 'VariableDeclaration' && node.kind !== 'const') others.add('Variable');
  });
  return others;
}

/** "IfStatement" in words: "an if statement". */
function inWords(type: string): string {
  const words = type.replaceAll(/(?<=[a-z])[A-Z]/g, ' $&').toLowerCase();
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`;
}

function countUsesOfApp({ program }: ParsedFile): { registrations: number; otherUses: number } {
  let registrations = 0;
  let otherUses = 0;
  const local = localNameOfApp(program);
  visitNodes(program, (node, ancestors) => {
    const parent = ancestors.at(-1);
    if (node.type !== 'Identifier' || node.name !== local) return;
    if (isPropertyName(node, parent) || parent?.type === 'ImportSpecifier') return;
    if (isRootOfCallee(node, ancestors)) registrations += 1;
    else otherUses += 1;
  });
  return { registrations, otherUses };
}

function localNameOfApp(program: Node): string {
  let local = 'app';
  visitNodes(program, (node) => {
    if (node.type !== 'ImportSpecifier' || node.imported.type !== 'Identifier') return;
    if (node.imported.name === 'app') local = node.local.name;
  });
  return local;
}

/** Whether an identifier begins a called chain: `app.http(...)`, `app.hook.appStart(...)`. */
function isRootOfCallee(node: Node, ancestors: readonly Node[]): boolean {
  let current = node;
  for (const ancestor of ancestors.toReversed()) {
    if (ancestor.type === 'CallExpression') return ancestor.callee === current && current !== node;
    if (ancestor.type !== 'MemberExpression' || ancestor.object !== current) return false;
    current = ancestor;
  }
  return false;
}
