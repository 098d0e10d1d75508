import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text of a project's agent.toml; empty without the file, which means the defaults. */
export function readAgentToml(root: string): string {
  const path = join(root, 'agent.toml');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
