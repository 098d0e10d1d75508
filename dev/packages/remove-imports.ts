import { parseSource, readStaticString, visitNodes, type SourceFile } from '../structure/syntax.ts';
import { isOfPackage } from './main-path.ts';

/**
 * The text of a file without its imports of a package. A lazy import becomes an empty namespace.
 * Type-only imports stay, because they do not exist when the code runs.
 */
export function removeImports(file: SourceFile, name: string): string {
  const edits: { readonly start: number; readonly end: number; readonly by: string }[] = [];
  visitNodes(parseSource(file).program, (node) => {
    const isImport =
      node.type === 'ImportDeclaration' ||
      node.type === 'ExportNamedDeclaration' ||
      node.type === 'ExportAllDeclaration';
    if (!isImport && node.type !== 'ImportExpression') return;
    if (!isOfPackage(readStaticString(node.source), name) || isTypeOnly(node)) return;
    const { start, end } = node;
    edits.push({ start, end, by: isImport ? '' : 'Promise.resolve({})' });
  });
  return edits.reduceRight(
    (text, { start, end, by }) => text.slice(0, start) + by + text.slice(end),
    file.text,
  );
}

function isTypeOnly(node: object): boolean {
  return (
    ('importKind' in node && node.importKind === 'type') ||
    ('exportKind' in node && node.exportKind === 'type')
  );
}
