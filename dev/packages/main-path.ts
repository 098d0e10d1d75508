import type { TreeFile } from '../structure/source-tree.ts';

/** A package that the service is built on, and a test of the behaviour that it carries. */
export interface MainPathPackage {
  readonly name: string;
  /** A test file that fails without the package. */
  readonly test: string;
  /** Part of the names of the tests to run; all of the file where undefined. */
  readonly named?: string;
}

/** docs/packages.md says what each of them does here and what it costs. */
export const MAIN_PATH_PACKAGES: readonly MainPathPackage[] = [
  {
    name: '@azure/functions',
    test: 'test/functions/registration.test.ts',
    named: 'the sources in a bare process',
  },
  { name: '@azure/identity', test: 'test/composition-root/managed-identity.test.ts' },
  { name: '@azure/keyvault-secrets', test: 'test/config/key-vault.test.ts' },
  { name: 'openai', test: 'test/model/openai-client.test.ts' },
  { name: 'cockatiel', test: 'test/unit/resilience/endpoint-policies.test.ts' },
  { name: '@upstash/ratelimit', test: 'test/rate-limit/bucket-stores.test.ts' },
  { name: 'applicationinsights', test: 'test/composition-root/telemetry.test.ts' },
];

/**
 * The files that import a package by value and that a trigger reaches through its imports, lazy ones
 * included.
 */
export function findImporters(files: readonly TreeFile[], name: string): string[] {
  const reached = reachedFromTriggers(files);
  return files
    .filter(({ path }) => reached.has(path))
    .filter(({ imports }) =>
      imports.some(({ specifier, kind }) => kind !== 'type' && isOfPackage(specifier, name)),
    )
    .map(({ path }) => path);
}

/** Whether a specifier is a package or one of its entry points. */
export function isOfPackage(specifier: string | undefined, name: string): boolean {
  return specifier === name || specifier?.startsWith(`${name}/`) === true;
}

function reachedFromTriggers(files: readonly TreeFile[]): ReadonlySet<string> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set(
    files.map(({ path }) => path).filter((path) => path.startsWith('functions/')),
  );
  for (const path of reached) {
    for (const { target, kind } of byPath.get(path)?.imports ?? []) {
      if (target !== undefined && kind !== 'type') reached.add(target);
    }
  }
  return reached;
}
