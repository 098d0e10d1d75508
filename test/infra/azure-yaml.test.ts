import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readAzureYaml } from './support/azure-yaml.ts';
import { readInfra } from './support/read-infra.ts';

const TEXT = readFileSync('azure.yaml', 'utf8');

describe('azure.yaml', () => {
  it('deploys what the build writes, and builds nothing on the server', () => {
    const { services } = readAzureYaml();

    expect(services.api).toMatchObject({ project: '.', dist: 'dist', remoteBuild: false });
    expect(existsSync('.funcignore')).toBe(false);
  });

  it('gives the service the name in the tag of the site', async () => {
    const infra = await readInfra();
    const app = infra.planted('infra/modules/app.bicep', { from: '', to: '' }).root.text;

    expect(Object.keys(readAzureYaml().services)).toEqual(['api']);
    expect(app).toContain("'azd-service-name': 'api'");
    expect(infra.main.root.text).toContain("'azd-env-name': environmentName");
  });

  it('runs hooks that exist, in JavaScript', () => {
    const paths = Object.values(readAzureYaml().hooks).map(({ run }) => run);

    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
    expect(paths.filter((path) => !path.endsWith('.js'))).toEqual([]);
  });

  it.each([
    ['a misspelt key', 'remoteBuild: false', 'remoteBuilds: false'],
    ['a build on the server', 'remoteBuild: false', 'remoteBuild: true'],
    ['an unknown hook', 'postdeploy:', 'afterdeploy:'],
    [
      'a hook whose failure is ignored',
      'run: infra/hooks/smoke.js',
      'run: a.js\n    continueOnError: true',
    ],
    ['another host', 'host: function', 'host: appservice'],
    ['a version without a bound', '">= 1.25.0"', '"latest"'],
  ])('is refused with %s', (...[, from, to]) => {
    expect(TEXT).toContain(from);
    expect(() => readAzureYaml(TEXT.replace(from, to))).toThrow();
  });
});
