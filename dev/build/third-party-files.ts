import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { purlOf, type BundledPackage, type BundleInventory } from './bundled-packages.ts';

export interface Project {
  readonly name: string;
  readonly version: string;
}

/** Writes `NOTICE` and `sbom.cdx.json`, which both list every package of the bundle. */
export async function writeThirdPartyFiles(
  outDir: string,
  { project, inventory }: { readonly project: Project; readonly inventory: BundleInventory },
): Promise<void> {
  const sbom = JSON.stringify(createSbom(project, inventory), undefined, 2);
  await Promise.all([
    writeFile(join(outDir, 'NOTICE'), formatNotice(project, inventory.packages)),
    writeFile(join(outDir, 'sbom.cdx.json'), `${sbom}\n`),
  ]);
}

const RULE = `\n\n${'-'.repeat(80)}\n\n`;

/** Each licence text once, under the packages that it applies to. */
function formatNotice(project: Project, packages: readonly BundledPackage[]): string {
  const byText = Map.groupBy(packages, ({ licenceTexts }) => licenceTexts.join('\n\n'));
  const sections = [...byText].map(([text, group]) => {
    const names = group.map(({ name, version, licence }) => `${name} ${version} (${licence})`);
    return `${names.join('\n')}\n\n${text}`;
  });
  const head = `Third-party licences

${project.name} ${project.version} contains code of ${packages.length} packages. Each of them is listed below
with its version, its licence and the text of that licence.`;
  return `${[head, ...sections].join(RULE)}\n`;
}

/** The algorithms in the integrity of an npm package, as CycloneDX names them. */
const HASHES: Readonly<Record<string, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

/** CycloneDX JSON 1.6, without time and serial number: the same input gives the same bytes. */
function createSbom(project: Project, { packages, direct }: BundleInventory): object {
  const root = purlOf(project);
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: { type: 'application', 'bom-ref': root, ...project, purl: root },
    },
    components: packages.map(toComponent),
    dependencies: [
      { ref: root, dependsOn: direct },
      ...packages.map(({ purl, dependsOn }) => ({ ref: purl, dependsOn })),
    ],
  };
}

function toComponent({ name, version, purl, licence, integrity }: BundledPackage): object {
  const [scope, bare] = name.startsWith('@') ? name.split('/') : [undefined, name];
  return {
    type: 'library',
    'bom-ref': purl,
    ...(scope !== undefined && { group: scope }),
    name: bare,
    version,
    scope: 'required',
    licenses: [licence.includes(' ') ? { expression: licence } : { license: { id: licence } }],
    purl,
    hashes: integrity.flatMap(({ algorithm, base64 }) => {
      const alg = HASHES[algorithm];
      const content = Buffer.from(base64, 'base64').toString('hex');
      return alg === undefined ? [] : [{ alg, content }];
    }),
  };
}
