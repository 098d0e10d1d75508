import {
  copyFile,
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { build as bundle } from 'esbuild';
import * as z from 'zod';
import type { BuildInfo } from '../shared/telemetry/build-info.ts';
import { listBundledPackages, type BundleContents } from './build/bundled-packages.ts';
import { describeBuild } from './build/describe-build.ts';
import { readBuiltinsLazily, skipClientLogLines } from './build/lighter-bundle.ts';
import { mergeEagerChunks } from './build/merge-eager-chunks.ts';
import { shareAzureModules, stubUnusedPackages } from './build/telemetry-stubs.ts';
import { writeThirdPartyFiles, type Project } from './build/third-party-files.ts';
import { CliError, describeCliError } from './cli-error.ts';
import { isRunning } from './processes.ts';
import { PROJECT_ROOT, isMain } from './project-root.ts';

export interface BuildOptions {
  /** The folder of `functions/` and `host.json`. */
  readonly root?: string;
  readonly outDir?: string;
}

/** Bundled code may use `require` and `__dirname`, which an ES module does not have. */
const BANNER =
  "import{createRequire as createBundleRequire}from'node:module';const require=/* @__PURE__ */createBundleRequire(import.meta.url),bundleDirname=import.meta.dirname;";

const EXTERNAL = [
  // The worker supplies this module at run time; there is no package of that name.
  '@azure/functions-core',
  // `debug` colours its output with it if it is installed; here only a development tool installs it.
  'supports-color',
];

/** How often a build that meets a concurrent one tries to put its result in place. */
const MAX_SWAPS = 5;

/** Copied unchanged to the top of the package; all but the first one are optional. */
const COPIED = ['host.json', 'agent.toml', 'shared/http/chat-page.html', 'openapi.json'] as const;

/**
 * Writes `dist/` as a package that runs by itself: bundled code, host.json, package.json, the
 * licences and bill of materials of what was bundled, and in build.json what it was built from. Writes to a folder beside `dist/` and renames
 * it at the end, so a failed build keeps the last good one.
 * @throws CliError if the code does not compile, or a bundled package has no licence
 */
export async function build(options: BuildOptions = {}): Promise<{ readonly outDir: string }> {
  const root = options.root ?? PROJECT_ROOT;
  const outDir = resolve(root, options.outDir ?? 'dist');
  // The time of a file is finer than a Date: a file that was written just before must not look
  // newer.
  const startedAt = new Date(Date.now() + 1);
  const staging = `${outDir}.new-${process.pid}`;
  await removeLeftovers(outDir);
  try {
    await mkdir(staging, { recursive: true });
    const project = await writeManifest(root, staging);
    const info = await describeBuild({
      root,
      packageVersion: project.version,
      now: startedAt,
      commit: process.env['BUILD_COMMIT'],
    });
    await writeFile(join(staging, 'build.json'), `${JSON.stringify(info, undefined, 2)}\n`);
    const contents = await bundleTriggers(root, { outDir: staging, info });
    for (const name of COPIED) {
      if (existsSync(join(root, name)))
        await copyFile(join(root, name), join(staging, basename(name)));
    }
    const inventory = await listBundledPackages(contents, { root });
    await writeThirdPartyFiles(staging, { project, inventory });
    await utimes(join(staging, 'package.json'), startedAt, startedAt);
    await swapIn(staging, outDir);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return { outDir };
}

async function bundleTriggers(
  root: string,
  { outDir, info }: { readonly outDir: string; readonly info: BuildInfo },
): Promise<BundleContents> {
  const entryPoints = await findTriggers(root);
  try {
    const { metafile } = await bundle({
      absWorkingDir: root,
      entryPoints,
      outdir: outDir,
      outbase: root,
      chunkNames: 'chunks/[name]-[hash]',
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      target: 'node22',
      external: [...EXTERNAL],
      // A constant named `__dirname` in the banner would collide with packages that declare one.
      define: { __dirname: 'bundleDirname', AGENT_BUILD: JSON.stringify(info) },
      banner: { js: BANNER },
      // Identifiers stay, so that stack traces and log lines have the names of the source.
      minifySyntax: true,
      minifyWhitespace: true,
      sourcemap: 'linked',
      sourcesContent: false,
      legalComments: 'none',
      logLevel: 'silent',
      metafile: true,
      plugins: [
        stubUnusedPackages(),
        shareAzureModules(),
        readBuiltinsLazily(),
        skipClientLogLines(),
      ],
    });
    await mergeEagerChunks(metafile, { root, outDir, external: EXTERNAL });
    return metafile;
  } catch (error) {
    throw new CliError(`Cannot build: ${firstProblem(error)}`, { cause: error });
  }
}

async function findTriggers(root: string): Promise<string[]> {
  const names = await readdir(join(root, 'functions')).catch(() => []);
  const triggers = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'));
  if (triggers.length === 0) {
    throw new CliError(
      "Cannot build as 'functions/' must hold at least one trigger file: none found",
    );
  }
  return triggers.toSorted().map((name) => join(root, 'functions', name));
}

async function writeManifest(root: string, outDir: string): Promise<Project> {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { name, version } = z
    .object({ name: z.string(), version: z.string() })
    .parse(JSON.parse(text));
  const content = { name, version, type: 'module', main: 'functions/*.js' };
  await writeFile(join(outDir, 'package.json'), `${JSON.stringify(content, undefined, 2)}\n`);
  return { name, version };
}

/** Two concurrent builds may meet here; the later one wins, and both succeed. */
async function swapIn(staging: string, outDir: string): Promise<void> {
  const retired = `${outDir}.old-${process.pid}`;
  for (let attempt = 1; ; attempt += 1) {
    await rename(outDir, retired).catch(() => undefined);
    try {
      await rename(staging, outDir);
      break;
    } catch (error) {
      if (attempt === MAX_SWAPS) throw error;
    } finally {
      await rm(retired, { recursive: true, force: true });
    }
  }
}

/** A build that was killed could not clean up; its folder has the id of its process in its name. */
async function removeLeftovers(outDir: string): Promise<void> {
  const prefix = `${basename(outDir)}.`;
  const names = await readdir(dirname(outDir)).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    const pid = Number(/\.(?:new|old)-(\d+)$/.exec(name)?.[1]);
    if (pid > 0 && !isRunning(pid)) await rm(join(dirname(outDir), name), { recursive: true });
  }
}

/** esbuild lists its errors with their location; its message only counts them. */
const findings = z.object({
  errors: z.tuple(
    [
      z.object({
        text: z.string(),
        location: z.object({ file: z.string(), line: z.number() }).nullish(),
      }),
    ],
    z.unknown(),
  ),
});

function firstProblem(error: unknown): string {
  const found = findings.safeParse(error);
  if (!found.success) return error instanceof Error ? error.message : String(error);
  const [{ text, location }] = found.data.errors;
  return location ? `${location.file}:${location.line}: ${text}` : text;
}

async function runBuild(): Promise<void> {
  const startedAt = performance.now();
  const { outDir } = await build();
  console.log(`built ${outDir} in ${Math.round(performance.now() - startedAt)} ms`);
}

if (isMain(import.meta.filename)) {
  runBuild().catch((error: unknown) => {
    console.error(describeCliError(error));
    process.exitCode = 1;
  });
}
