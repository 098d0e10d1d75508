// Runs the smoke test that belongs to a package: node infra/hooks/smoke-package.js FOLDER. An earlier
// version is judged by its own test, because a newer one may expect what it does not have.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { azdValues } from './support/azure.js';
import { jsonOf } from './support/call.js';
import { runHook } from './support/terminal.js';

await runHook('smoke-package', async () => {
  const folder = resolve(process.argv[2] ?? '.');
  const own = join(folder, 'infra/hooks/smoke.js');
  const hook = existsSync(own) ? own : join(import.meta.dirname, 'smoke.js');
  // Packages of older versions hold neither a description of their build nor a test of their own.
  const build = jsonOf({
    text: await readFile(join(folder, 'build.json'), 'utf8').catch(() => ''),
  });
  const env = { ...process.env, ...(await azdValues()), SMOKE_VERSION: build?.version ?? '' };
  const test = spawn(process.execPath, [hook], { env, stdio: 'inherit' });
  const [code] = await once(test, 'exit');
  process.exitCode = code ?? 1;
});
