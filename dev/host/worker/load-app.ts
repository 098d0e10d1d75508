import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports the files that `main` of package.json names, each as its ending and package say. */
export async function loadApp(appRoot: string): Promise<void> {
  const { main, isModule } = readPackage(appRoot);
  const files = globSync(main, { cwd: appRoot }).toSorted();
  if (files.length === 0) {
    throw new Error(
      `Worker was unable to load entry point "${main}": Found zero files matching the supplied pattern`,
    );
  }
  for (const file of files) {
    const path = join(appRoot, file);
    try {
      if (path.endsWith('.mjs') || (isModule && !path.endsWith('.cjs'))) {
        await import(pathToFileURL(path).href);
      } else {
        createRequire(path)(path);
      }
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`Worker was unable to load entry point "${file}": ${reason}`, {
        cause: error,
      });
    }
  }
}

function readPackage(appRoot: string): { main: string; isModule: boolean } {
  const path = join(appRoot, 'package.json');
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`Worker was unable to read ${path}: ${String(error)}`, { cause: error });
  }
  const fields = typeof content === 'object' && content !== null ? content : {};
  const main = 'main' in fields && typeof fields.main === 'string' ? fields.main : 'index.js';
  return { main, isModule: 'type' in fields && fields.type === 'module' };
}
