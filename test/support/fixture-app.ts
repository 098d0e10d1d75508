import { copyFile, cp, mkdtemp, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../dev/project-root.ts';

/** A copy of the small app of the fixtures in a folder of its own, with the packages of the project. */
export async function copyFixtureApp(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'fixture-app-'));
  const source = join(PROJECT_ROOT, 'test', 'dev', 'fixtures', 'app');
  await cp(source, root, { recursive: true });
  await symlink(join(PROJECT_ROOT, 'node_modules'), join(root, 'node_modules'));
  await copyFile(join(PROJECT_ROOT, 'package-lock.json'), join(root, 'package-lock.json'));
  return root;
}
