import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { describeApi, toMarkdown } from './openapi/document.ts';
import { isMain, PROJECT_ROOT } from './project-root.ts';

/** The text of openapi.json. */
export async function openApiText(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(PROJECT_ROOT, 'package.json'), 'utf8'));
  const { version } = z.object({ version: z.string() }).parse(manifest);
  return `${JSON.stringify(describeApi(version), undefined, 2)}\n`;
}

/** Writes openapi.json and docs/api.md. A test fails while they are out of date. */
if (isMain(import.meta.filename)) {
  await writeFile(join(PROJECT_ROOT, 'openapi.json'), await openApiText());
  await writeFile(join(PROJECT_ROOT, 'docs', 'api.md'), toMarkdown());
}
