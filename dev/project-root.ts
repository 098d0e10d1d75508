import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';

/** The folder of the project, which build, start and check use by default. */
export const PROJECT_ROOT = dirname(import.meta.dirname);

/** Whether this module is the script that Node runs, so that importing it starts nothing. */
export function isMain(filename: string): boolean {
  const script = process.argv[1];
  if (script === undefined) return false;
  try {
    return realpathSync(script) === realpathSync(filename);
  } catch {
    return false;
  }
}
