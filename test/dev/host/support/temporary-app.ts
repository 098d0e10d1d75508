import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { PROJECT_ROOT } from '../../../../dev/project-root.ts';

const DEFAULTS = {
  'package.json': '{"name":"app","type":"module","main":"app.js"}',
  'host.json': '{"version":"2.0","extensions":{"http":{"routePrefix":""}}}',
  'app.js': `import { app } from '@azure/functions';\napp.http('hello', { handler: () => ({ body: 'hello' }) });`,
};

/** Writes a small app into a folder of its own; `undefined` leaves a file out. */
export async function writeApp(
  files: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'host-app-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await symlink(join(PROJECT_ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const [name, content] of Object.entries({ ...DEFAULTS, ...files })) {
    if (content === undefined) continue;
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}

/** An app with these statements after the import. */
export function appWith(statements: string): { readonly 'app.js': string } {
  return { 'app.js': `import { app } from '@azure/functions';\n${statements}\n` };
}
