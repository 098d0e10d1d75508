import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { build as bundle, type Metafile, type Plugin } from 'esbuild';
import { CliError } from '../cli-error.ts';

/** The only entry of the package. */
const ENTRY = 'app.js';

interface MergeOptions {
  /** The folder that the paths of the metafile start from. */
  readonly root: string;
  readonly outDir: string;
  readonly external: readonly string[];
}

/**
 * Joins what every start loads into one file: the entries of all triggers and the chunks that they
 * import. Node reads, links and maps each file on its own, so a hundred files take 50 ms and 14 MB
 * more than one. Chunks that are loaded on demand stay, and import from that file instead.
 */
export async function mergeEagerChunks(metafile: Metafile, options: MergeOptions): Promise<void> {
  const { root, outDir } = options;
  const all = new Map(
    Object.entries(metafile.outputs)
      .filter(([path]) => path.endsWith('.js'))
      .map(([path, output]) => [resolve(root, path), output] as const),
  );
  const entries = [...all.keys()].filter((path) => path.startsWith(join(outDir, 'functions')));
  const eager = new Set(entries);
  // A set also visits what is added on the way.
  for (const path of eager) {
    for (const one of all.get(path)?.imports ?? []) {
      const isEager = one.kind === 'import-statement' && one.external !== true;
      if (isEager) eager.add(resolve(root, one.path));
    }
  }
  const lazy = await Promise.all(
    [...all.keys()]
      .filter((path) => !eager.has(path))
      .map(async (path) => ({ path, text: await readFile(path, 'utf8') })),
  );
  const shared = findSharedNames(lazy.map(({ text }) => text).join('\n'), eager);
  const merged = await bundleEager(entries, { ...options, shared });
  const name = `eager-${hashOf(merged.code)}.js`;
  await Promise.all([...eager].flatMap((path) => [rm(path), rm(`${path}.map`, { force: true })]));
  await mkdir(join(outDir, 'chunks'), { recursive: true });
  const comment = `//# sourceMappingURL=${name}.map\n`;
  await writeFile(join(outDir, 'chunks', name), merged.code + comment);
  await writeFile(join(outDir, 'chunks', `${name}.map`), merged.map);
  await writeFile(join(outDir, 'functions', ENTRY), `import"../chunks/${name}";\n`);
  await Promise.all(
    lazy.map(({ path, text }) => writeFile(path, importFrom(text, { name, eager, shared }))),
  );
}

/** An import of one chunk by another, as esbuild writes it. */
const CHUNK_IMPORT = /\bimport(?:\{([^}]*)\}from)?"\.\/([\w.-]+\.js)";/g;

/** The names that lazy chunks import, by eager chunk, and the name of each in the merged file. */
type SharedNames = ReadonlyMap<string, ReadonlyMap<string, string>>;

function findSharedNames(code: string, eager: ReadonlySet<string>): SharedNames {
  const files = new Set([...eager].map((path) => basename(path)));
  const shared = new Map<string, Map<string, string>>();
  const taken = new Set<string>();
  for (const [, names = '', file = ''] of code.matchAll(CHUNK_IMPORT)) {
    if (!files.has(file)) continue;
    const known = shared.get(file) ?? new Map<string, string>();
    shared.set(file, known);
    for (const { imported } of parseNames(names)) {
      if (known.has(imported)) continue;
      const free = taken.has(imported) ? `${imported}$${taken.size}` : imported;
      taken.add(free);
      known.set(imported, free);
    }
  }
  return shared;
}

function parseNames(names: string): { readonly imported: string; readonly local: string }[] {
  return names
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      const [imported = '', local = imported] = name.split(' as ');
      return { imported, local };
    });
}

interface BundleOptions extends MergeOptions {
  readonly shared: SharedNames;
}

async function bundleEager(
  entries: readonly string[],
  { outDir, external, shared }: BundleOptions,
): Promise<{ readonly code: string; readonly map: string }> {
  const imports = entries.toSorted().map((path) => `import"./${relative(outDir, path)}";`);
  const exports = [...shared].map(([file, names]) => {
    const list = [...names].map(([name, free]) => (name === free ? name : `${name} as ${free}`));
    return `export{${list.join(',')}}from"./chunks/${file}";`;
  });
  const { outputFiles } = await bundle({
    stdin: { contents: [...imports, ...exports].join('\n'), resolveDir: outDir },
    outfile: join(outDir, 'chunks', 'eager.js'),
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    external: [...external],
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'external',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'silent',
    plugins: [keepLazyImports()],
  });
  const textOf = (ending: string): string =>
    outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  return { code: textOf('.js'), map: textOf('.js.map') };
}

/** The merged file lies among the lazy chunks. */
function keepLazyImports(): Plugin {
  return {
    name: 'keep-lazy-imports',
    setup(build) {
      build.onResolve({ filter: /\.js$/ }, ({ path, kind }) =>
        kind === 'dynamic-import' ? { path: `./${basename(path)}`, external: true } : undefined,
      );
    },
  };
}

interface Rewriting {
  /** The file name of the merged file. */
  readonly name: string;
  readonly eager: ReadonlySet<string>;
  readonly shared: SharedNames;
}

function importFrom(code: string, { name, eager, shared }: Rewriting): string {
  const files = new Set([...eager].map((path) => basename(path)));
  return code.replaceAll(
    CHUNK_IMPORT,
    (statement: string, names: string | undefined, file: string) => {
      if (!files.has(file)) return statement;
      if (names === undefined) return `import"./${name}";`;
      const list = parseNames(names).map(({ imported, local }) => {
        const free = shared.get(file)?.get(imported);
        if (free === undefined)
          throw new CliError(`Cannot merge ${file}: it must export ${imported}`);
        return free === local ? local : `${free} as ${local}`;
      });
      return `import{${list.join(',')}}from"./${name}";`;
    },
  );
}

/** As long as the hashes of esbuild, so that rewritten imports keep the columns of source maps. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8).toUpperCase();
}
