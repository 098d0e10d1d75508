import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { BicepFile } from './support/bicep-tree.ts';
import { bodyOf, childrenOf, declarations, propertiesOf, plainText } from './support/bicep-tree.ts';
import { readInfra, type Infra } from './support/read-infra.ts';

/** The built-in roles that the templates may assign. */
const ROLES: Readonly<Record<string, string>> = {
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
  queueContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88',
  tableContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3',
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6',
  secretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
  openAiUser: '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd',
  cognitiveUser: 'a97b65f3-24c7-4388-baec-2e87135dc908',
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb',
};
const GUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const ACCESS = 'infra/modules/access.bicep';

let infra: Infra;
let access: BicepFile;
beforeAll(async () => {
  infra = await readInfra();
  access = infra.planted(ACCESS, { from: '', to: '' });
});

function checkRoles(file: BicepFile): string[] {
  const given = declarations(file, 'variable').find(({ name }) => name === 'role');
  const body = given && childrenOf(given.node).find(({ type }) => type === 'object');
  const named = (body === undefined ? [] : propertiesOf(body)).flatMap(({ name, value }) =>
    plainText(value) === ROLES[name] ? [] : [`${name} is not ${value.text}`],
  );
  const known = new Set(Object.values(ROLES));
  const loose = [...file.root.text.matchAll(GUID)]
    .filter(([id]) => !known.has(id))
    .map(([id]) => `${id} is no role that may be given`);
  return [...named, ...loose];
}

/** Secrets Officer, the one role that writes secrets, must not reach the identity of the app. */
function principalsOf(file: BicepFile, role: string): string[] {
  return declarations(file, 'resource')
    .filter(({ node }) => node.text.includes(`role.${role})`))
    .map(({ node }) => bodyOf(node)?.text ?? '')
    .flatMap((text) => /principalId: (\S+)/.exec(text)?.[1] ?? []);
}

describe('the roles', () => {
  it('have the ids that belong to their names', () => {
    expect(checkRoles(access)).toEqual([]);
  });

  it('let the app read secrets and only the deployer write them', () => {
    expect(principalsOf(access, 'secretsUser')).toEqual(['identityPrincipalId']);
    expect(principalsOf(access, 'secretsOfficer')).toEqual(['deployerId']);
  });

  it('are assigned before the app is created', () => {
    const text = readFileSync('infra/main.bicep', 'utf8');
    const app = /module app [\s\S]*?\n}\n/.exec(text)?.[0] ?? '';

    expect(app).toMatch(/dependsOn: \[[^\]]*\baccess\b/);
  });

  it.each([
    ['a wrong role id', '974c5e8b-45b9', '974c5e8b-45ba', 'queueContributor is not'],
    ['two roles swapped', ROLES['secretsUser'] ?? '', ROLES['secretsOfficer'] ?? '', 'secretsUser'],
    [
      'Owner in place of a role',
      ROLES['openAiUser'] ?? '',
      '8e3af657-a8ff-443c-a75c-2fe8c4bcb635',
      'no role that may be given',
    ],
  ])('turn the check red with %s', (...[, from, to, found]) => {
    expect(checkRoles(infra.planted(ACCESS, { from, to })).join('\n')).toContain(found);
  });
});

describe('keys', () => {
  it('are switched off wherever they exist', () => {
    const all = infra.all.map(({ root }) => root.text).join('\n');

    expect(all).toContain('allowSharedKeyAccess: false');
    expect(all).toContain('disableLocalAuth: true');
    expect(all).toContain('DisableLocalAuth: true');
    expect(all).toContain('enableRbacAuthorization: true');
    expect(all.match(/properties: \{ allow: false \}/g)).toHaveLength(2);
    expect(all).not.toMatch(/listKeys|listAccountSas|listServiceSas|AccountKey=/);
  });

  it('appear in no output of a template', () => {
    const outputs = infra.all.flatMap((file) => declarations(file, 'output'));

    expect(outputs.filter(({ name }) => /token|secret|key$|password/i.test(name))).toEqual([]);
  });
});

describe('records', () => {
  it.each(['blobs', 'queueService', 'tableService', 'vault', 'account', 'app'])(
    'are kept of %s',
    (scope) => {
      const scopes = infra.all
        .flatMap((file) => declarations(file, 'resource'))
        .filter(({ node }) => node.text.includes('diagnosticSettings@'))
        .map(({ node }) => /scope: (\w+)/.exec(node.text)?.[1]);

      expect(scopes).toContain(scope);
    },
  );
});
