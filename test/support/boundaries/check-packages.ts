import { isBuiltin } from 'node:module';
import type { Import } from '../../../dev/structure/read-imports.ts';
import { PACKAGES, type PackageRule, REQUIRES } from '../module-rules.ts';
import { isListed, listInWords } from './locate.ts';

/** Imports of packages from where they may not be imported, and imports that hide what they load. */
export function checkPackages(path: string, imports: readonly Import[]): string[] {
  return imports.flatMap((one) => {
    const { specifier, target, kind } = one;
    if (kind === 'require') {
      if (isListed(path, REQUIRES)) return [];
      return [`${path} loads a module by require or resolve; only import may load modules`];
    }
    if (specifier === undefined) {
      return [`${path} imports a path that is computed; a path must be a plain string`];
    }
    if (target !== undefined) return [];
    const problems = [packageProblem(one, path, specifier), bundleProblem(one, specifier)];
    return problems
      .filter((problem) => problem !== undefined)
      .map((problem) => `${path} imports ${specifier}; ${problem}`);
  });
}

function packageProblem({ kind }: Import, path: string, specifier: string): string | undefined {
  if (isBuiltin(specifier) && !specifier.startsWith('node:')) {
    return `a module of Node is imported as node:${specifier}`;
  }
  const rules = PACKAGES.filter(({ packages }) => packages.some((one) => covers(one, specifier)));
  if (rules.length === 0) return 'module-rules.ts does not list this package';
  const places = rules.flatMap((rule) => rule.in);
  const types = rules.flatMap((rule: PackageRule) => rule.typesIn ?? []);
  if (isListed(path, places) || (kind === 'type' && isListed(path, types))) return undefined;
  const ofTypes = types.length === 0 ? '' : `, its types also in ${listInWords(types)}`;
  return `this package may be imported in ${listInWords(places)}${ofTypes}`;
}

/** `@scope/*` and `name-*` cover what begins so; a package also covers its own sub-paths. */
function covers(pattern: string, specifier: string): boolean {
  if (pattern.endsWith('*')) return specifier.startsWith(pattern.slice(0, -1));
  if (pattern.startsWith('node:')) return specifier === pattern;
  return specifier === pattern || specifier.startsWith(`${pattern}/`);
}

/** A bundler cannot remove the unused parts of the `z` object: 440 kB in every cold start. */
function bundleProblem({ kind, names }: Import, specifier: string): string | undefined {
  if (!/^zod(?:\/|$)/.test(specifier)) return undefined;
  const isWhole = kind === 'lazy' || names.includes('z') || names.includes('default');
  return isWhole ? "this loads all of zod, so write import * as z from 'zod'" : undefined;
}
