import { moduleOf } from '../../../dev/structure/source-tree.ts';
import { MODULES, type ModuleRule } from '../module-rules.ts';

export interface Location {
  readonly module: string;
  /** The sub-folder within the module; undefined for its top-level files. */
  readonly folder: string | undefined;
  /** 0 for the top-level files, then the sub-folders in their order, then the base files. */
  readonly layer: number;
  readonly rule: ModuleRule | undefined;
}

/** Where a file stands, by its path from the root. Outside `shared/`, a module is a top folder. */
export function locate(path: string): Location {
  const [top = '', ...rest] = path.split('/');
  if (top !== 'shared') {
    return { module: top, folder: undefined, layer: 0, rule: MODULES[top] };
  }
  const module = moduleOf(path);
  const rule = MODULES[module];
  const folder = folderOf(module, rest);
  const folders = rule?.folders ?? [];
  const isBase = folder === undefined && rule?.base?.includes(rest[1] ?? '') === true;
  const layer = isBase ? folders.length + 1 : folders.indexOf(folder ?? '') + 1;
  return { module, folder, layer, rule };
}

/** The composition root is a file whose private parts are in the folder of the same name. */
function folderOf(module: string, [, second, ...deeper]: readonly string[]): string | undefined {
  if (second === undefined) return undefined;
  if (module === 'composition-root') return module;
  return deeper.length > 0 ? second : undefined;
}

/** Whether a path is one of the files, or lies in one of the folders, which end in `/`. */
export function isListed(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place));
}

/** "a", "a and b", "a, b and c". */
export function listInWords(words: readonly string[]): string {
  const last = words.at(-1) ?? 'nothing';
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} and ${last}` : last;
}
