import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { median } from './measure-requests.ts';

export interface LoadFigures {
  readonly ms: number;
  readonly memoryMb: number;
}

const LOADS = 7;
const loadSchema = z.object({ ms: z.number(), memoryMb: z.number() });

/** Time and memory to load the function files of an app in a fresh process without settings. */
export async function measureLoading(apps: readonly string[]): Promise<readonly LoadFigures[]> {
  const seen = apps.map(() => [] as LoadFigures[]);
  for (let round = 0; round < LOADS; round += 1) {
    for (const [index, app] of apps.entries()) seen[index]?.push(await loadOnce(app));
  }
  return seen.map((list) => ({
    ms: median(list.map(({ ms }) => ms)),
    memoryMb: median(list.map(({ memoryMb }) => memoryMb)),
  }));
}

/** Exports of the chunks that a deployment with telemetry, identity and Key Vault also loads. */
const CLOUD_EXPORTS = ['startAzureMonitor', 'createKeyVaultReader', 'DefaultAzureCredential'];

/** The same with the chunks of telemetry, identity and Key Vault, loaded but not used. */
export async function measureCloudLoading(app: string): Promise<LoadFigures> {
  const chunks = await Promise.all(CLOUD_EXPORTS.map((name) => findChunk(app, name)));
  const seen: LoadFigures[] = [];
  for (let round = 0; round < LOADS; round += 1) seen.push(await loadOnce(app, chunks));
  return {
    ms: median(seen.map(({ ms }) => ms)),
    memoryMb: median(seen.map(({ memoryMb }) => memoryMb)),
  };
}

async function findChunk(app: string, exported: string): Promise<string> {
  const folder = join(app, 'chunks');
  const pattern = new RegExp(`export\\{[^}]*\\b${exported}\\b[^}]*\\}`);
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.js') || name.startsWith('chunk-')) continue;
    if (pattern.test(await readFile(join(folder, name), 'utf8'))) return join(folder, name);
  }
  throw new CliError(`Cannot measure the package: no chunk exports ${exported}`);
}

async function loadOnce(app: string, chunks: readonly string[] = []): Promise<LoadFigures> {
  const folder = join(app, 'functions');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.js')).toSorted();
  const files = [...names.map((name) => join(folder, name)), ...chunks];
  const urls = files.map((file) => pathToFileURL(file).href);
  // The Functions library prints lines; only the last line is the result.
  const script = `const startedAt = performance.now();
    for (const url of ${JSON.stringify(urls)}) await import(url);
    const ms = performance.now() - startedAt;
    console.log(JSON.stringify({ ms, memoryMb: process.memoryUsage.rss() / 1048576 }));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { env: { PATH: process.env['PATH'] } },
  );
  return loadSchema.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
}

/**
 * The size of an entry in a zip file besides its content and twice its name, and the size of its
 * end.
 */
const ZIP_ENTRY_BYTES = 30 + 46;
const ZIP_END_BYTES = 22;

/** The size of a zip file of a folder in bytes: each file deflated, as zip tools do. */
export async function measureZip(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const name = Buffer.byteLength(relative(folder, path));
      return deflateRawSync(await readFile(path)).length + 2 * name + ZIP_ENTRY_BYTES;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, ZIP_END_BYTES);
}
