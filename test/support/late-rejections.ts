import type { Node } from 'oxc-parser';
import { lineAt, parseSource, visitNodes, type SourceFile } from '../../dev/structure/syntax.ts';

interface Place {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** What stands directly in one function; functions inside it run at another time. */
interface FunctionParts {
  /** Variables whose value is not awaited where they are declared. */
  readonly made: Place[];
  readonly awaits: Place[];
  readonly used: Place[];
  /** Names in `expect(name).rejects`. */
  readonly rejected: Set<string>;
}

/**
 * Promises that a test expects to reject although it awaits something else between their creation
 * and their first use. One that rejects meanwhile ends the whole run as an unhandled rejection.
 */
export function findLateRejections(file: SourceFile): string[] {
  const functions = readFunctions(file);
  return functions.flatMap(({ made, awaits, used, rejected }) =>
    made
      .filter(({ name }) => rejected.has(name))
      .filter(({ name, to }) => {
        const first = used.find((use) => use.name === name && use.from >= to);
        return awaits.some((other) => other.from >= to && other.to <= (first?.from ?? 0));
      })
      .map(({ name, from }) => `${file.path}:${lineAt(file.text, from)} ${name} is awaited late`),
  );
}

function readFunctions(file: SourceFile): FunctionParts[] {
  const { program } = parseSource(file);
  const functions = new Map<Node, FunctionParts>();
  visitNodes(program, (node, ancestors) => {
    const owner = ancestors.findLast(isFunction) ?? program;
    const parts = functions.get(owner) ?? { made: [], awaits: [], used: [], rejected: new Set() };
    functions.set(owner, parts);
    readNode(node, parts);
  });
  return [...functions.values()];
}

function readNode(node: Node, { made, awaits, used, rejected }: FunctionParts): void {
  const place = { name: '', from: node.start, to: node.end };
  if (node.type === 'AwaitExpression') awaits.push(place);
  if (node.type === 'Identifier') used.push({ ...place, name: node.name });
  if (node.type === 'VariableDeclarator' && node.init?.type !== 'AwaitExpression') {
    visitNodes(node.id, (id) => {
      if (id.type === 'Identifier') made.push({ ...place, name: id.name });
    });
  }
  const name = rejectedName(node);
  if (name !== undefined) rejected.add(name);
}

function rejectedName(node: Node): string | undefined {
  if (node.type !== 'MemberExpression' || node.property.type !== 'Identifier') return undefined;
  if (node.property.name !== 'rejects' || node.object.type !== 'CallExpression') return undefined;
  const [subject] = node.object.arguments;
  return subject?.type === 'Identifier' ? subject.name : undefined;
}

function isFunction({ type }: Node): boolean {
  return ['ArrowFunctionExpression', 'FunctionDeclaration', 'FunctionExpression'].includes(type);
}
