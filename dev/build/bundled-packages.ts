import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { CliError } from '../cli-error.ts';
import { readPackageLicence } from './package-licence.ts';

/** The part of esbuild's metafile that lists the source files of each output. */
export interface BundleContents {
  readonly outputs: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, unknown>> }>
  >;
}

/** A package whose code is in the bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** Package URL, which identifies it in the bill of materials. */
  readonly purl: string;
  /** An SPDX identifier or expression. */
  readonly licence: string;
  readonly licenceTexts: readonly string[];
  /** Hashes of the published archive; empty where the lock file has none. */
  readonly integrity: readonly { readonly algorithm: string; readonly base64: string }[];
  /** Package URLs of the bundled packages that it depends on. */
  readonly dependsOn: readonly string[];
}

export interface BundleInventory {
  /** Sorted by package URL; a version that is installed twice is listed once. */
  readonly packages: readonly BundledPackage[];
  /** Package URLs of the bundled packages that the project itself depends on. */
  readonly direct: readonly string[];
}

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().optional(),
      dependencies: z.record(z.string(), z.string()).optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
      peerDependencies: z.record(z.string(), z.string()).optional(),
      peerDependenciesMeta: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
});

type Lock = ReadonlyMap<string, z.infer<typeof lockSchema>['packages'][string]>;

/** The lock file, and the package URLs of the bundled packages by folder. */
interface PackageGraph {
  readonly lock: Lock;
  readonly purls: ReadonlyMap<string, string>;
}

/** A package folder: its path from the first node_modules, and the name of the package. */
const PACKAGE_FOLDER = /^(?:.*?\/)??(node_modules\/(?:.*\/node_modules\/)?((?:@[^/]+\/)?[^/]+))\//;

/**
 * Lists the packages whose code is in the bundle, with licence and origin.
 * @throws CliError if one has no licence, or differs from the lock file
 */
export async function listBundledPackages(
  contents: BundleContents,
  { root }: { readonly root: string },
): Promise<BundleInventory> {
  const lock = await readLock(root);
  const folders = packageFolders(contents);
  const purls = new Map(
    folders.map(({ key, name }) => [key, purlOf({ name, version: lockedVersion(key, lock) })]),
  );
  const graph: PackageGraph = { lock, purls };
  const found = await Promise.all(
    folders.map((folder) => readPackage({ ...folder, path: resolve(root, folder.path) }, graph)),
  );
  const byPurl = new Map(found.map((one) => [one.purl, one]));
  return {
    packages: [...byPurl].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one),
    direct: dependenciesOf('', graph),
  };
}

export function purlOf({
  name,
  version,
}: {
  readonly name: string;
  readonly version: string;
}): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

interface PackageFolder {
  /** The folder as the lock file names it. */
  readonly key: string;
  readonly name: string;
  readonly path: string;
}

function packageFolders({ outputs }: BundleContents): PackageFolder[] {
  const folders = new Map<string, PackageFolder>();
  for (const { inputs } of Object.values(outputs)) {
    for (const input of Object.keys(inputs)) {
      const [path, key, name] = PACKAGE_FOLDER.exec(input) ?? [];
      if (path === undefined || key === undefined || name === undefined) continue;
      folders.set(key, { key, name, path });
    }
  }
  return [...folders.values()];
}

async function readPackage(
  { key, name, path }: PackageFolder,
  graph: PackageGraph,
): Promise<BundledPackage> {
  const version = lockedVersion(key, graph.lock);
  const { licence, texts, ...installed } = await readPackageLicence(path);
  if (installed.version.replace(/^v/, '') !== version) {
    throw new CliError(
      `Cannot build: ${name} ${installed.version} is installed and package-lock.json says ${version}: run npm ci`,
    );
  }
  const integrity = graph.lock.get(key)?.integrity?.split(' ') ?? [];
  return {
    name,
    version,
    purl: purlOf({ name, version }),
    licence,
    licenceTexts: texts,
    integrity: integrity.map((hash) => {
      const [algorithm = '', base64 = ''] = hash.split('-');
      return { algorithm, base64 };
    }),
    dependsOn: dependenciesOf(key, graph),
  };
}

async function readLock(root: string): Promise<Lock> {
  const text = await readFile(join(root, 'package-lock.json'), 'utf8').catch(() => undefined);
  if (text === undefined) throw new CliError('Cannot build without package-lock.json');
  return new Map(Object.entries(lockSchema.parse(JSON.parse(text)).packages));
}

function lockedVersion(key: string, lock: Lock): string {
  const { version, dev } = lock.get(key) ?? {};
  if (version === undefined) {
    throw new CliError(
      `Cannot build: ${key} is in the bundle and not in package-lock.json: run npm ci`,
    );
  }
  // The audit of what is deployed covers production dependencies only.
  if (dev === true) {
    throw new CliError(`Cannot build: ${key} is in the bundle and only a development dependency`);
  }
  return version;
}

/** The bundled packages among the dependencies of a package; '' is the project itself. */
function dependenciesOf(key: string, { lock, purls }: PackageGraph): string[] {
  const entry = lock.get(key);
  const declared = {
    ...entry?.dependencies,
    ...entry?.optionalDependencies,
    ...entry?.peerDependencies,
    ...entry?.peerDependenciesMeta,
  };
  const found = Object.keys(declared).flatMap((name) => {
    const at = lookupPath(key, name).find((folder) => lock.has(folder));
    return at === undefined ? [] : (purls.get(at) ?? []);
  });
  return [...new Set(found)].toSorted();
}

/**
 * The folders in which Node looks for a dependency of the package in this folder, nearest first.
 */
function lookupPath(key: string, dependency: string): string[] {
  const nested = key.split(/\/?node_modules\//).slice(1);
  return Array.from({ length: nested.length + 1 }, (_, levelsUp) =>
    [...nested.slice(0, nested.length - levelsUp), dependency]
      .map((name) => `node_modules/${name}`)
      .join('/'),
  );
}
