import { globSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import * as z from 'zod';
import { build } from '../../../dev/build.ts';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';
import { copyFixtureApp } from '../../support/fixture-app.ts';

/** What CycloneDX 1.6 allows of the parts that are written; the objects are closed there too. */
const purl = z.string().regex(/^pkg:npm\/(?:%40[\w.-]+\/)?[\w.-]+@\d[\w.+-]*$/);
const sbomSchema = z.strictObject({
  $schema: z.literal('http://cyclonedx.org/schema/bom-1.6.schema.json'),
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  version: z.int().min(1),
  metadata: z.strictObject({
    lifecycles: z.tuple([z.strictObject({ phase: z.literal('build') })]),
    component: z.strictObject({
      type: z.literal('application'),
      'bom-ref': purl,
      name: z.string(),
      version: z.string(),
      purl,
    }),
  }),
  components: z.array(
    z.strictObject({
      type: z.literal('library'),
      'bom-ref': purl,
      group: z.string().startsWith('@').optional(),
      name: z.string().regex(/^[^@/]+$/),
      version: z.string(),
      scope: z.literal('required'),
      licenses: z.tuple([
        z.union([
          z.strictObject({ license: z.strictObject({ id: z.string().regex(/^[\w.+-]+$/) }) }),
          z.strictObject({ expression: z.string() }),
        ]),
      ]),
      purl,
      hashes: z.array(
        z.strictObject({
          alg: z.enum(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']),
          content: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/),
        }),
      ),
    }),
  ),
  dependencies: z.array(z.strictObject({ ref: purl, dependsOn: z.array(purl) })),
});
type Sbom = z.infer<typeof sbomSchema>;

function readSbom(outDir: string): Sbom {
  return sbomSchema.parse(JSON.parse(readFileSync(join(outDir, 'sbom.cdx.json'), 'utf8')));
}

/**
 * `name version` of the packages that the source maps of a build name. A package that was bundled
 * by its own authors may be missing there.
 */
function packagesInSourceMaps(outDir: string): string[] {
  const found = new Set<string>();
  for (const file of globSync(join(outDir, '**', '*.js.map'))) {
    const { sources } = z
      .object({ sources: z.array(z.string()) })
      .parse(JSON.parse(readFileSync(file, 'utf8')));
    for (const source of sources) {
      const path = relative(PROJECT_ROOT, resolve(dirname(file), source));
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0];
      if (folder !== undefined) found.add(folder);
    }
  }
  return [...new Set([...found].map(nameAndVersion))].toSorted();
}

function nameAndVersion(folder: string): string {
  const text = readFileSync(join(PROJECT_ROOT, folder, 'package.json'), 'utf8');
  const { name, version } = z
    .object({ name: z.string(), version: z.string() })
    .parse(JSON.parse(text));
  return `${name} ${version.replace(/^v/, '')}`;
}

function packagesInNotice(notice: string): string[] {
  return [...notice.matchAll(/^(\S+ \d\S*) \([\w .+-]+\)$/gm)]
    .map(([, one = '']) => one)
    .toSorted();
}

describe('the build of the project', () => {
  let outDir: string;
  let bundled: string[];

  beforeAll(async () => {
    outDir = join(await mkdtemp(join(tmpdir(), 'third-party-')), 'dist');
    await build({ root: PROJECT_ROOT, outDir });
    bundled = packagesInSourceMaps(outDir);
  });

  afterAll(() => rm(dirname(outDir), { recursive: true, force: true }));

  it('lists every bundled package in NOTICE, with its licence and the text of it', async () => {
    const notice = await readFile(join(outDir, 'NOTICE'), 'utf8');

    const sections = notice.split(/\n-{80}\n/).slice(1);
    expect(bundled.length).toBeGreaterThan(70);
    expect(packagesInNotice(notice)).toEqual(expect.arrayContaining(bundled));
    expect(sections.filter((text) => !/licen[cs]e|permission/i.test(text))).toEqual([]);
    expect(Math.min(...sections.map((text) => text.length))).toBeGreaterThan(400);
  });

  it('lists the same packages in a CycloneDX bill of materials, with their hashes', async () => {
    const notice = await readFile(join(outDir, 'NOTICE'), 'utf8');
    const { components } = readSbom(outDir);

    const listed = components.map(
      ({ group, name, version }) => `${group === undefined ? '' : `${group}/`}${name} ${version}`,
    );
    expect(listed.toSorted()).toEqual(packagesInNotice(notice));
    expect(components.filter(({ hashes }) => hashes.length === 0)).toEqual([]);
  });

  it('connects each component of the bill of materials with what needs it', () => {
    const { components, dependencies, metadata } = readSbom(outDir);

    const refs = components.map((component) => component['bom-ref']);
    const needed = new Set(dependencies.flatMap(({ dependsOn }) => dependsOn));
    expect(dependencies.map(({ ref }) => ref).toSorted()).toEqual(
      [metadata.component['bom-ref'], ...refs].toSorted(),
    );
    expect([...needed].toSorted()).toEqual(refs.toSorted());
  });

  it('writes the same bytes for the same input', async () => {
    const again = join(dirname(outDir), 'again');

    await build({ root: PROJECT_ROOT, outDir: again });

    for (const name of ['NOTICE', 'sbom.cdx.json']) {
      expect(await readFile(join(again, name))).toEqual(await readFile(join(outDir, name)));
    }
  });
});

const LOCKED = { version: '1.0.0' };

interface PlantedPackage {
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly licenceText?: string;
  /** Its entry in the lock file, which lacks the package when this is undefined. */
  readonly locked?: { readonly version: string; readonly dev?: true } | undefined;
}

/** The fixture app with one more package, which one of its triggers imports. */
async function appWithPackage({ manifest, licenceText, locked }: PlantedPackage): Promise<string> {
  const root = await copyFixtureApp();
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, 'functions', 'node_modules', 'planted');
  await mkdir(folder, { recursive: true });
  const content = { name: 'planted', version: '1.0.0', main: 'index.js', ...manifest };
  await writeFile(join(folder, 'package.json'), JSON.stringify(content));
  await writeFile(join(folder, 'index.js'), 'globalThis.planted = true;');
  if (licenceText !== undefined) await writeFile(join(folder, 'LICENSE'), licenceText);
  const trigger = join(root, 'functions', 'health.ts');
  await writeFile(trigger, `import 'planted';\n${await readFile(trigger, 'utf8')}`);
  if (locked !== undefined) {
    const path = join(root, 'package-lock.json');
    const lock = z.looseObject({ packages: z.record(z.string(), z.unknown()) });
    const { packages, ...rest } = lock.parse(JSON.parse(await readFile(path, 'utf8')));
    const entry = { ...locked, integrity: `sha512-${Buffer.alloc(64).toString('base64')}` };
    const content = { ...rest, packages: { ...packages, 'node_modules/planted': entry } };
    await writeFile(path, JSON.stringify(content));
  }
  return root;
}

describe('a package in the bundle', () => {
  it.each([
    ['without a licence', {}, 'states no SPDX licence: none'],
    ['that is not licensed', { license: 'UNLICENSED' }, 'states no SPDX licence: UNLICENSED'],
    ['with a licence in words', { license: 'SEE LICENSE IN x' }, 'states no SPDX licence: SEE'],
  ])('fails the build: one %s', async (...[, manifest, message]) => {
    const root = await appWithPackage({ manifest, licenceText: 'Some text', locked: LOCKED });

    await expect(build({ root })).rejects.toThrow(`planted 1.0.0 is in the bundle and ${message}`);
  });

  it('fails the build: one without a licence text', async () => {
    const root = await appWithPackage({ manifest: { license: 'Apache-2.0' }, locked: LOCKED });

    await expect(build({ root })).rejects.toThrow('planted 1.0.0 (Apache-2.0) has no licence text');
  });

  it.each([
    ['is not in the lock file', undefined, 'node_modules/planted is in the bundle and not in'],
    ['has another version there', { version: '1.0.1' }, 'package-lock.json says 1.0.1: run npm ci'],
    ['is for development only', { ...LOCKED, dev: true as const }, 'only a development dependency'],
  ])('fails the build: one that %s', async (...[, locked, message]) => {
    const root = await appWithPackage({ manifest: { license: 'MIT' }, locked });

    await expect(build({ root })).rejects.toThrow(message);
  });

  it('gets the text of the MIT licence with its author, where it states that licence only', async () => {
    const manifest = { license: 'MIT', author: { name: 'Ada Lovelace' } };
    const root = await appWithPackage({ manifest, locked: LOCKED });

    await build({ root });

    const notice = await readFile(join(root, 'dist', 'NOTICE'), 'utf8');
    expect(notice).toMatch(
      /planted 1\.0\.0 \(MIT\)\n\nMIT License\n\nCopyright \(c\) Ada Lovelace\n\nPermission is/,
    );
  });

  it('may have a choice of licences, which the bill of materials states as an expression', async () => {
    const manifest = { licenses: [{ type: 'MIT' }, { type: 'Apache-2.0' }] };
    const root = await appWithPackage({ manifest, licenceText: 'A choice', locked: LOCKED });

    await build({ root });

    const planted = readSbom(join(root, 'dist')).components.find(({ name }) => name === 'planted');
    expect(planted).toMatchObject({
      licenses: [{ expression: 'MIT OR Apache-2.0' }],
      hashes: [{ alg: 'SHA-512', content: '00'.repeat(64) }],
    });
  });
});
