import { beforeAll, describe, expect, it } from 'vitest';
import { declarations } from './support/bicep-tree.ts';
import { checkModules, checkNames } from './support/check-names.ts';
import { checkResources } from './support/check-shapes.ts';
import { readInfra, type Infra } from './support/read-infra.ts';
import { RESOURCE_SHAPES } from './support/resource-shapes.ts';

const MAIN = 'infra/main.bicep';
const APP = 'infra/modules/app.bicep';
const STORAGE = 'infra/modules/storage.bicep';

let infra: Infra;
beforeAll(async () => {
  infra = await readInfra();
});

describe('the templates', () => {
  it('set only properties that their resource types have', () => {
    const problems = infra.all.flatMap((file) => checkResources(file, RESOURCE_SHAPES));

    expect(problems).toEqual([]);
    expect(infra.all.flatMap((file) => declarations(file, 'resource')).length).toBeGreaterThan(40);
  });

  it('use each resource type that is described', () => {
    const text = infra.all.map(({ root }) => root.text).join('\n');

    const idle = Object.keys(RESOURCE_SHAPES).filter(
      (name) => !text.includes(`'${name.split(' ')[0] ?? ''}'`),
    );

    expect(idle).toEqual([]);
  });

  it('use only declared names, and use each of them', () => {
    expect(infra.all.flatMap(checkNames)).toEqual([]);
  });

  it('describe every parameter and output of a deployment', () => {
    const lines = infra.main.root.text.split('\n');
    const silent = lines.filter((line, index) => {
      if (!/^(?:param|output) /.test(line)) return false;
      const decorators = lines.slice(0, index).findLastIndex((one) => !one.startsWith('@'));
      return !lines.slice(decorators, index).some((one) => one.startsWith('@description('));
    });

    expect(silent).toEqual([]);
  });

  it('pass each module exactly its parameters', () => {
    expect(checkModules(infra.main, infra.modules)).toEqual([]);
  });
});

interface Mistake {
  readonly what: string;
  readonly path: string;
  readonly from: string;
  readonly to: string;
  readonly found: string;
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'an unknown property',
    path: APP,
    from: 'httpsOnly: true',
    to: 'httpsOnly: true\n    httpOnly: true',
    found: "'httpOnly' is no property",
  },
  {
    what: 'a property that the plan rejects',
    path: APP,
    from: 'http20Enabled: true',
    to: "http20Enabled: true\n      ftpsState: 'Disabled'",
    found: "'ftpsState' is no property",
  },
  {
    what: 'a missing property',
    path: APP,
    from: "kind: 'functionapp,linux'",
    to: '',
    found: "'kind' is missing",
  },
  {
    what: 'a string for a switch',
    path: STORAGE,
    from: 'allowSharedKeyAccess: false',
    to: "allowSharedKeyAccess: 'false'",
    found: 'string instead of bool',
  },
  {
    what: 'a value outside the list',
    path: STORAGE,
    from: "'TLS1_2'",
    to: "'TLS1_0'",
    found: 'none of TLS1_2',
  },
  {
    what: 'an unknown API version',
    path: APP,
    from: 'sites@2024-11-01',
    to: 'sites@2099-01-01',
    found: 'no known type',
  },
  {
    what: 'a property without its suppression',
    path: APP,
    from: '#disable-next-line BCP037',
    to: '',
    found: "'siteUpdateStrategy' is no property",
  },
  {
    what: 'broken syntax',
    path: APP,
    from: 'httpsOnly: true',
    to: 'httpsOnly: :',
    found: 'not valid Bicep',
  },
  {
    what: 'a name that is not declared',
    path: MAIN,
    from: 'empty(openAiLocation)',
    to: 'empty(openAiRegion)',
    found: 'nothing is called openAiRegion',
  },
  {
    what: 'a parameter that is not used',
    path: MAIN,
    from: "param alertEmail string = ''",
    to: "param alertEmail string = ''\nparam idle string = ''",
    found: 'nothing uses idle',
  },
  {
    what: 'a parameter that the module does not have',
    path: MAIN,
    from: 'healthUrl:',
    to: 'healthAddress:',
    found: 'no parameter healthAddress',
  },
  {
    what: 'a parameter that is not passed',
    path: MAIN,
    from: "vaultName: 'kv-${token}'",
    to: '',
    found: 'needs the parameter vaultName',
  },
  {
    what: 'an output that does not exist',
    path: MAIN,
    from: 'storage.outputs.packageContainer',
    to: 'storage.outputs.container',
    found: 'no output container',
  },
  {
    what: 'a module that does not exist',
    path: MAIN,
    from: 'modules/vault.bicep',
    to: 'modules/safe.bicep',
    found: 'there is no modules/safe.bicep',
  },
];

describe('a planted mistake in a template', () => {
  it.each(MISTAKES)('is found: $what', ({ path, from, to, found }) => {
    const file = infra.planted(path, { from, to });

    const problems = [
      ...checkResources(file, RESOURCE_SHAPES),
      ...checkNames(file),
      ...checkModules(file, infra.modules),
    ];

    expect(problems.join('\n')).toContain(found);
  });
});
