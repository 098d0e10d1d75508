import { parseSync, type Comment, type Node, type Program } from 'oxc-parser';

/** One source file, by its path from the project's root. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface ParsedFile extends SourceFile {
  readonly program: Program;
  readonly comments: readonly Comment[];
}

/** Called for every node, parents first; `ancestors` ends with the direct parent. */
export type Visit = (node: Node, ancestors: readonly Node[]) => void;

/**
 * Parses a TypeScript file.
 * @throws SyntaxError naming the file and the first problem
 */
export function parseSource({ path, text }: SourceFile): ParsedFile {
  const { program, comments, errors } = parseSync(path, text, { preserveParens: false });
  const [first] = errors;
  if (first !== undefined) throw new SyntaxError(`Cannot parse '${path}': ${first.message}`);
  return { path, text, program, comments };
}

/** Visits a node and everything below it. */
export function visitNodes(node: Node, visit: Visit, ancestors: readonly Node[] = []): void {
  visit(node, ancestors);
  const path = [...ancestors, node];
  for (const child of childrenOf(node)) visitNodes(child, visit, path);
}

function childrenOf(node: Node): Node[] {
  return Object.values(node).flat().filter(isNode);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

/** The value of a string literal or of a template literal without expressions. */
export function readStaticString(node: Node | null | undefined): string | undefined {
  if (node?.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined;
  if (node?.type !== 'TemplateLiteral' || node.expressions.length > 0) return undefined;
  return node.quasis[0]?.value.cooked ?? undefined;
}

/** The 1-based line of an offset in a text. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

export function countLines(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}
