import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';

const VERSION = '0.49.2';
const PACKAGE = 'Azure.Bicep.CommandLine.linux-x64';
const CACHE = resolve('node_modules/.cache/bicep');
const PROGRAM = join(CACHE, PACKAGE.toLowerCase(), VERSION, 'tools', 'bicep');
/** A download of 115 MB, once for each `npm ci`. */
const RESTORE_TIMEOUT_MS = 300_000;
const RUN_TIMEOUT_MS = 60_000;

const run = promisify(execFile);

/** Fetches the compiler from NuGet where it is not there yet. */
export async function restoreBicep(): Promise<void> {
  if (existsSync(PROGRAM)) return;
  const project = join(CACHE, 'bicep.csproj');
  await mkdir(CACHE, { recursive: true });
  await writeFile(
    project,
    `<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>netstandard2.0</TargetFramework>
    <DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>
  </PropertyGroup>
  <ItemGroup><PackageDownload Include="${PACKAGE}" Version="[${VERSION}]" /></ItemGroup>
</Project>
`,
  );
  await run('dotnet', ['restore', project, '--packages', CACHE], { timeout: RESTORE_TIMEOUT_MS });
}

/** One piece of text in a template, and what it is replaced with. */
export interface Edit {
  readonly path: string;
  readonly from: string;
  readonly to: string;
}

/** The diagnostics of a copy of the templates with these edits. */
export async function compileEdited(edits: readonly Edit[]): Promise<string[]> {
  const folder = await mkdtemp(join(CACHE, 'edited-'));
  try {
    await cp('infra', join(folder, 'infra'), { recursive: true });
    for (const { path, from, to } of edits) {
      const file = join(folder, path);
      const text = await readFile(file, 'utf8');
      if (!text.includes(from)) throw new Error(`${path} does not hold ${from}`);
      await writeFile(file, text.replace(from, to));
    }
    return await compileBicep(join(folder, 'infra', 'main.bicep'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Every error and warning of compiler and linter, one each line. */
export async function compileBicep(main: string): Promise<string[]> {
  return linesOf(await runBicep('build', main, '--stdout'));
}

const snapshotSchema = z.object({
  predictedResources: z.array(
    z.object({
      id: z.string(),
      type: z.string(),
      properties: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
});

export interface Prediction {
  readonly resources: z.infer<typeof snapshotSchema>['predictedResources'];
  readonly diagnostics: readonly string[];
}

/** What the templates would deploy with these parameters, as the compiler evaluates them. */
export async function predictDeployment(
  parameters: Readonly<Record<string, string | number | boolean>>,
): Promise<Prediction> {
  const folder = await mkdtemp(join(CACHE, 'snapshot-'));
  try {
    const values = { environmentName: 'test', location: 'swedencentral', ...parameters };
    const lines = Object.entries(values).map(
      ([name, value]) =>
        `param ${name} = ${typeof value === 'string' ? `'${value}'` : String(value)}`,
    );
    const file = join(folder, 'main.bicepparam');
    // The compiler refuses absolute paths: from node_modules/.cache/bicep/snapshot-x to infra.
    await writeFile(file, ["using '../../../../infra/main.bicep'", ...lines, ''].join('\n'));
    const options = {
      mode: 'overwrite',
      'deployment-name': 'test',
      location: values.location,
      'subscription-id': '00000000-0000-0000-0000-000000000001',
      'tenant-id': '00000000-0000-0000-0000-000000000002',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const stderr = await runBicep('snapshot', file, ...args);
    const text = await readFile(join(folder, 'main.snapshot.json'), 'utf8');
    const { predictedResources } = snapshotSchema.parse(JSON.parse(text));
    return { resources: predictedResources, diagnostics: linesOf(stderr) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The error output of the compiler, whatever its exit code. */
async function runBicep(...args: readonly string[]): Promise<string> {
  try {
    const { stderr } = await run(PROGRAM, args, { timeout: RUN_TIMEOUT_MS, maxBuffer: 2 ** 26 });
    return stderr;
  } catch (error) {
    const failure = z.object({ code: z.number(), stderr: z.string() }).safeParse(error);
    if (!failure.success || failure.data.stderr === '') throw error;
    return failure.data.stderr;
  }
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}
