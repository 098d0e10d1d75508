import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The files that a build reads. A folder includes everything in it. */
const INPUTS = [
  'functions',
  'shared',
  'host.json',
  'openapi.json',
  'package.json',
  'package-lock.json',
  'agent.toml',
  'dev/build.ts',
  'dev/build',
] as const;

/** Whether the last build is newer than all of its inputs. */
export async function isBuildFresh(options: {
  readonly root: string;
  readonly outDir: string;
}): Promise<boolean> {
  // The build writes this file with its start time, and renames it into place last.
  const built = await modifiedAt(join(options.outDir, 'package.json'));
  if (built === 0) return false;
  const times = await Promise.all(INPUTS.map((input) => newestIn(join(options.root, input))));
  return Math.max(...times) <= built;
}

/** Includes the time of the folder itself, which changes when a file is deleted. */
async function newestIn(path: string): Promise<number> {
  const own = await modifiedAt(path);
  if (own === 0) return 0;
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const times = await Promise.all(entries.map((entry) => newestIn(join(path, entry.name))));
  return Math.max(own, ...times);
}

async function modifiedAt(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.mtimeMs ?? 0;
}
