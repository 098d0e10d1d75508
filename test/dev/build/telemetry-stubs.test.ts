import { readFileSync } from 'node:fs';
import { build, type Metafile } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  shareAzureModules,
  STUB_NAMESPACE,
  STUBBED_EXPORTS,
  stubUnusedPackages,
} from '../../../dev/build/telemetry-stubs.ts';

let inputs: Metafile['inputs'];
beforeAll(async () => {
  const { metafile } = await build({
    entryPoints: ['shared/telemetry/azure-monitor/start.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    metafile: true,
    external: ['@azure/functions-core', 'supports-color'],
    logLevel: 'silent',
    plugins: [stubUnusedPackages(), shareAzureModules()],
  });
  inputs = metafile.inputs;
});

function stubOf(path: string): string | undefined {
  return path.startsWith(`${STUB_NAMESPACE}:`) ? path.slice(STUB_NAMESPACE.length + 1) : undefined;
}

/** The exports that a CommonJS file reads from a package. */
function namesRead(text: string, packageName: string): string[] {
  const required = new RegExp(`(\\w+) = require\\("${packageName}"\\)`, 'g');
  return [...text.matchAll(required)].flatMap(([, variable = '']) =>
    [...text.matchAll(new RegExp(`\\b${variable}\\.(\\w+)`, 'g'))].map(([, name = '']) => name),
  );
}

describe('the packages that the bundle replaces by stubs', () => {
  it('are all still imported, so none of them is listed in vain', () => {
    const stubbed = Object.keys(inputs).flatMap((path) => stubOf(path) ?? []);

    expect(stubbed.toSorted()).toEqual(Object.keys(STUBBED_EXPORTS).toSorted());
  });

  it.each(Object.entries(STUBBED_EXPORTS))('export what %s exports', async (name, stubbed) => {
    const real: unknown = await import(name);

    const exported = Object.keys(real as object);
    expect(exported).toEqual(expect.arrayContaining([...stubbed]));
  });

  it('export every name that CommonJS code reads, which the bundler does not check', () => {
    const missing = Object.entries(inputs).flatMap(([file, { imports, format }]) =>
      format !== 'cjs'
        ? []
        : imports
            .flatMap(({ path }) => stubOf(path) ?? [])
            .flatMap((name) =>
              namesRead(readFileSync(file, 'utf8'), name)
                .filter((read) => !STUBBED_EXPORTS[name]?.includes(read))
                .map((read) => `${file} reads ${name}.${read}`),
            ),
    );

    expect(missing).toEqual([]);
  });
});

describe('the telemetry chunk', () => {
  it('has one copy of each Azure package, as an ES module', () => {
    const files = Object.keys(inputs).filter((path) => path.includes('node_modules/@azure'));

    const folders = new Set(
      files.map((path) => /.*node_modules\/@azure[\w-]*\/[^/]+/.exec(path)?.[0] ?? path),
    );
    const names = [...folders].map((folder) => folder.split('node_modules/').at(-1));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('@azure/monitor-opentelemetry-exporter');
    expect(files.filter((path) => path.endsWith('/commonjs/index.js'))).toEqual([]);
  });
});
