import type { Import } from '../../../dev/structure/read-imports.ts';
import { ADAPTERS, BASE_MODULES, OPEN_FOLDERS } from '../module-rules.ts';
import { isListed, listInWords, locate, type Location } from './locate.ts';

/** Imports that cross a boundary between modules or between the layers of one module. */
export function checkModules(path: string, imports: readonly Import[]): string[] {
  const from = locate(path);
  if (from.rule === undefined) {
    return [`${path} is in the module ${from.module}, which has no rule in module-rules.ts`];
  }
  if (from.folder !== undefined && from.rule.folders?.includes(from.folder) !== true) {
    return [`${path} is in the sub-folder ${from.folder}, which ${from.module} does not list`];
  }
  return imports.flatMap((one) => {
    if (one.target === undefined) return [];
    const problem = problemOf(path, one.target, one.kind);
    return problem === undefined ? [] : [`${path} imports ${one.target}; ${problem}`];
  });
}

function problemOf(path: string, target: string, kind: Import['kind']): string | undefined {
  const from = locate(path);
  const to = locate(target);
  if (from.module === to.module && from.module !== 'functions') return layerProblem(from, to);
  const imports = importsOf(from);
  const types = from.rule?.types ?? [];
  if (!imports.includes(to.module) && !(types.includes(to.module) && kind === 'type')) {
    const ofTypes = types.length === 0 ? '' : `, and types of ${listInWords(types)}`;
    return `${from.module} may import ${listInWords(imports)}${ofTypes}`;
  }
  return privateProblem(path, target, to);
}

function importsOf({ module, rule }: Location): readonly string[] {
  if (module === 'functions' || BASE_MODULES.includes(module)) return rule?.imports ?? [];
  return [...(rule?.imports ?? []), ...BASE_MODULES];
}

/** Within one module, imports only go down. */
function layerProblem(from: Location, to: Location): string | undefined {
  if (to.layer >= from.layer) return undefined;
  const folders = from.rule?.folders ?? [];
  const base = from.rule?.base ?? [];
  const below = [...folders.slice(Math.max(from.layer - 1, 0)), ...base];
  const place = from.folder ?? 'a base file';
  return `within ${from.module}, ${place} may import ${listInWords(below)}`;
}

function privateProblem(path: string, target: string, to: Location): string | undefined {
  const isFromRoot = locate(path).module === 'composition-root';
  if (ADAPTERS.includes(target) && !isFromRoot) {
    return 'only the composition root may import an adapter';
  }
  if (to.folder === undefined) return undefined;
  const open = OPEN_FOLDERS.find(({ folder }) => target.startsWith(folder));
  if (open !== undefined && isListed(path, open.to)) return undefined;
  const others = open === undefined ? [] : [`open to ${listInWords(open.to)}`];
  return listInWords([`the sub-folders of ${to.module} are private to it`, ...others]);
}
