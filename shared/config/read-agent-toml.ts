import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from './config-error.ts';

/**
 * The text of agent.toml at the root of the app. The sources and the bundle both lie in folders of
 * that root; `folder` is the one that the calling file lies in. No file means the defaults.
 */
export async function readAgentToml(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, '..', 'agent.toml'), 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return '';
    throw new ConfigError([{ setting: 'agent.toml', wanted: 'a file that can be read' }]);
  }
}
