import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readImports, type Import } from './read-imports.ts';
import { countLines, parseSource } from './syntax.ts';

/** One file of `functions/` or `shared/`. */
export interface TreeFile {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
}

/** Reads and parses the product: every file of `functions/` and `shared/`, by path. */
export function readTree(root: string): TreeFile[] {
  return globSync(['functions/**/*.ts', 'shared/**/*.ts'], { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return { path, lines: countLines(text), imports: readImports(parseSource({ path, text })) };
    });
}

/** The folder or single file below `shared/` that a path belongs to; elsewhere, the top folder. */
export function moduleOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'shared' ? second.replace(/\.ts$/, '') : top;
}
