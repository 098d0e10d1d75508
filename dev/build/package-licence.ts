import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { CliError } from '../cli-error.ts';

export interface PackageLicence {
  /** The version that package.json states. */
  readonly version: string;
  /** An SPDX identifier or expression. */
  readonly licence: string;
  /** Licence and notice files, as the authors wrote them; never empty. */
  readonly texts: readonly string[];
}

const legacyLicence = z.object({ type: z.string() });
const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.union([z.string(), legacyLicence]).optional(),
  licenses: z.array(legacyLicence).optional(),
  author: z.union([z.string(), z.object({ name: z.string() })]).optional(),
});
type Manifest = z.infer<typeof manifestSchema>;

const SPDX = /^\(?[A-Za-z0-9][A-Za-z0-9.+-]*(?: (?:AND|OR|WITH) [A-Za-z0-9.+() -]+)?\)?$/;
const TEXT_FILE = /^(?:licen[cs]e|copying|notice)(?:[.-][\w.-]+)?$/i;

/**
 * Reads the licence of an installed package.
 * @throws CliError if the package states no SPDX licence, or has no licence text
 */
export async function readPackageLicence(folder: string): Promise<PackageLicence> {
  const text = await readFile(join(folder, 'package.json'), 'utf8');
  const manifest = manifestSchema.parse(JSON.parse(text));
  const licence = statedLicence(manifest);
  const texts = await readTexts(folder);
  // Some authors state the MIT licence in package.json only.
  if (texts.length === 0 && licence === 'MIT') texts.push(mitText(manifest));
  const { name, version } = manifest;
  if (texts.length === 0) {
    throw new CliError(`Cannot build: ${name} ${version} (${licence}) has no licence text`);
  }
  return { version, licence, texts };
}

function statedLicence({ name, version, license, licenses = [] }: Manifest): string {
  const stated = [license ?? licenses]
    .flat()
    .map((one) => (typeof one === 'string' ? one : one.type))
    .join(' OR ');
  if (stated !== 'UNLICENSED' && SPDX.test(stated)) return stated;
  throw new CliError(
    `Cannot build: ${name} ${version} is in the bundle and states no SPDX licence: ${stated || 'none'}`,
  );
}

async function readTexts(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => TEXT_FILE.test(name)).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.map((text) => text.replaceAll('\r\n', '\n').trim()).filter((text) => text !== '');
}

function mitText({ name, author }: Manifest): string {
  const holder = typeof author === 'string' ? author : author?.name;
  return `MIT License

Copyright (c) ${holder ?? `the authors of ${name}`}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;
}
