import { lineAt, visitNodes, type ParsedFile } from '../../../dev/structure/syntax.ts';
import { standardFor } from './name-patterns.ts';

/** Retired names among the identifiers of a file and in its path; each once, at its first line. */
export function checkNames({ path, text, program }: ParsedFile): string[] {
  const lines = new Map<string, number>();
  visitNodes(program, (node) => {
    if (node.type !== 'Identifier' && node.type !== 'PrivateIdentifier') return;
    if (!lines.has(node.name)) lines.set(node.name, lineAt(text, node.start));
  });
  const inText = [...lines].flatMap(([name, line]) => {
    const standard = standardFor(name, path);
    return standard === undefined ? [] : [`${path}:${line} names ${name}; the term is ${standard}`];
  });
  return [...checkPath(path), ...inText];
}

/** Retired names in the folders and the file name of a path. */
export function checkPath(path: string): string[] {
  return path.split('/').flatMap((part) => {
    const name = part.replace(/\..*$/, '');
    const standard = standardFor(name, path);
    return standard === undefined ? [] : [`${path} is named ${name}; the term is ${standard}`];
  });
}
