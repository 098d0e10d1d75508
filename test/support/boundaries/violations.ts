import { readImports } from '../../../dev/structure/read-imports.ts';
import { MAX_FILE_LINES } from '../../../dev/structure/small-files.ts';
import { countLines, parseSource, type SourceFile } from '../../../dev/structure/syntax.ts';
import { checkClients } from './check-clients.ts';
import { checkEnvironment } from './check-environment.ts';
import { checkModules } from './check-modules.ts';
import { checkPackages } from './check-packages.ts';
import { checkTrigger } from './check-triggers.ts';
import { checkCycles } from './find-cycles.ts';

/** Every way in which the files break the rules of `module-rules.ts`, as sentences. */
export function violations(files: readonly SourceFile[]): string[] {
  const graph = new Map<string, string[]>();
  const problems: string[] = [];
  for (const file of files.map(parseSource)) {
    const imports = readImports(file);
    const targets = imports.map(({ target }) => target).filter((target) => target !== undefined);
    graph.set(file.path, targets);
    problems.push(
      ...checkModules(file.path, imports),
      ...checkPackages(file.path, imports),
      ...checkClients(file),
      ...checkEnvironment(file),
      ...checkTrigger(file),
      ...checkSize(file),
    );
  }
  return problems.concat(checkCycles(graph));
}

function checkSize({ path, text }: SourceFile): string[] {
  const lines = countLines(text);
  if (lines <= MAX_FILE_LINES) return [];
  return [`${path} has ${lines} lines; a file has at most ${MAX_FILE_LINES}`];
}
