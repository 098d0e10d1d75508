import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { build } from '../../dev/build.ts';

const DOCKERFILE = readFileSync('Dockerfile', 'utf8');

/** Its digest was not known when the Dockerfile was written; the workflow adds it. */
const UNPINNED = 'mcr.microsoft.com/azure-functions/node:4-node22';

/** Whether the host keeps its keys in a folder that its user owns. */
function secretsFolder(stage: string): boolean {
  const folder = /FUNCTIONS_SECRETS_PATH=(\S+)/.exec(stage)?.[1];
  const home = /useradd .*--create-home --home-dir (\S+)/.exec(stage)?.[1];
  return folder !== undefined && home !== undefined && folder.startsWith(`${home}/`);
}

function checkDockerfile(text: string): string[] {
  const images = [...text.matchAll(/^FROM (\S+)/gm)].map(([, image = '']) => image);
  const last = text.slice(text.lastIndexOf('\nFROM '));
  return [
    ...(images.length > 1 ? [] : ['one stage: the image would contain the build tools']),
    ...images
      .filter((image) => !/:[\w.-]*\d/.test(image.split('@')[0] ?? ''))
      .map((image) => `${image} is not pinned to a version`),
    ...images
      .filter((image) => image !== UNPINNED && !/@sha256:[0-9a-f]{64}$/.test(image))
      .map((image) => `${image} is not pinned by digest`),
    ...(/^USER (?!root|0)\d+/m.test(last) ? [] : ['it runs as root']),
    ...(/^HEALTHCHECK /m.test(last) ? [] : ['it has no health check']),
    ...(/^EXPOSE (?:\d{4,5})$/m.test(last) ? [] : ['only root can open the port']),
    ...(secretsFolder(last) ? [] : ['the user cannot write the keys of functions']),
    ...(/COPY .*(?:\.env|local\.settings)/.test(text) ? ['settings are baked in'] : []),
  ];
}

describe('the container image', () => {
  it('is built in stages, runs unprivileged and has a health check', () => {
    expect(checkDockerfile(DOCKERFILE)).toEqual([]);
  });

  it('checks the health at the port and route that the host serves', () => {
    const port = /^EXPOSE (\d+)$/m.exec(DOCKERFILE)?.[1] ?? '';

    expect(DOCKERFILE).toContain(`ASPNETCORE_URLS=http://+:${port}`);
    expect(DOCKERFILE).toContain(`http://127.0.0.1:${port}/health`);
  });

  it('contains exactly the files that the build needs, and no settings', async () => {
    const allowed = [...readFileSync('.dockerignore', 'utf8').matchAll(/^!(.+?)\/?$/gm)].map(
      ([, path = '']) => path,
    );
    const root = mkdtempSync(join(tmpdir(), 'image-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    for (const path of allowed) cpSync(path, join(root, path), { recursive: true });
    symlinkSync(resolve('node_modules'), join(root, 'node_modules'));

    await build({ root });

    expect(globSync(join(root, 'dist', 'functions', '*.js'))).not.toEqual([]);
    expect(existsSync(join(root, 'dist', 'host.json'))).toBe(true);
    expect(allowed.filter((path) => /settings|env|\.git/.test(path))).toEqual([]);
  });

  it.each([
    ['root', /^USER .*$/m, 'USER root', 'it runs as root'],
    ['no user', /^USER .*$/m, '', 'it runs as root'],
    ['a moving tag', /4-node22/, 'latest', 'not pinned to a version'],
    ['a base without its digest', /@sha256:\w+/, '', 'not pinned by digest'],
    ['no health check', /^HEALTHCHECK/m, 'LABEL', 'no health check'],
    [
      'keys beside the code',
      /\/home\/agent\/secrets/,
      '/home/site/secrets',
      'cannot write the keys',
    ],
    ['a low port', /EXPOSE 8080/, 'EXPOSE 80', 'only root can open'],
  ])('turns the check red with %s', (...[, pattern, to, found]) => {
    expect(checkDockerfile(DOCKERFILE.replace(pattern, to)).join('\n')).toContain(found);
  });
});
