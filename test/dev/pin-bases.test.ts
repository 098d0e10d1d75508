import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listBases } from '../../dev/pin-bases.ts';
import { runScript } from '../support/run-script.ts';

const DIGEST = `sha256:${'c'.repeat(64)}`;
const DOCKERFILE = `FROM node:22-slim@sha256:${'a'.repeat(64)} AS build
RUN echo "FROM node:22"
FROM --platform=linux/amd64 registry.example.com/host:4
COPY --from=build /src /app
`;

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly dockerfile: string;
}

/** Runs the script on a Dockerfile, with a program named docker that answers like a registry. */
async function pinBases(
  dockerfile: string,
  options: { readonly args?: readonly string[]; readonly docker?: string } = {},
): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'pin-bases-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'Dockerfile');
  await writeFile(path, dockerfile);
  await writeFile(join(folder, 'docker'), `#!/bin/sh\n${options.docker ?? 'exit 1'}\n`);
  await chmod(join(folder, 'docker'), 0o755);
  const env = { PATH: [folder, process.env['PATH'] ?? ''].join(delimiter) };
  const args = [...(options.args ?? []), path];
  const script = runScript(resolve('dev/pin-bases.ts'), { args, env });
  const { code } = await script.ended;
  return {
    code,
    out: script.stdout(),
    err: script.stderr(),
    dockerfile: await readFile(path, 'utf8'),
  };
}

describe('the check of the base images', () => {
  it('refuses a Dockerfile with a base that has no digest, and names it', async () => {
    const { code, out, err, dockerfile } = await pinBases(DOCKERFILE);

    expect(code).toBe(1);
    expect(out).toContain('not pinned  registry.example.com/host:4');
    expect(err).toContain('A base image without a digest may change');
    expect(dockerfile).toBe(DOCKERFILE);
  });

  it('accepts a Dockerfile whose bases all have one', async () => {
    const pinned = DOCKERFILE.replace('host:4', `host:4@${DIGEST}`);

    const { code, out } = await pinBases(pinned);

    expect(code).toBe(0);
    expect(out).not.toContain('not pinned');
  });

  it.each([
    ['a digest that is too short', 'FROM node:22@sha256:abc\n'],
    ['an image that a build argument names', 'ARG BASE\nFROM ${BASE}\n'],
    ['no base at all', '# FROM nothing\n'],
    ['keywords in lower case', 'from node:22 as build\n'],
  ])('refuses a Dockerfile with %s', async (_what, dockerfile) => {
    const { code } = await pinBases(dockerfile);

    expect(code).toBe(1);
  });

  it('takes neither earlier stages nor the empty image for bases', () => {
    const bases = listBases('FROM a:1 AS build\nFROM build AS test\nFROM scratch\n');

    expect(bases.map(({ image }) => image)).toEqual(['a:1']);
  });
});

describe('pinning the base images', () => {
  const answer = `test "$4" = registry.example.com/host:4 && echo '{"digest":"${DIGEST}","size":1}'`;

  it('adds the digest that the registry states, and keeps the rest of the file', async () => {
    const args = ['--resolve'];

    const { code, dockerfile } = await pinBases(DOCKERFILE, { args, docker: answer });

    expect(code).toBe(0);
    expect(dockerfile).toBe(DOCKERFILE.replace('host:4', `host:4@${DIGEST}`));
  });

  it.each([
    ['fails', 'echo "no such image" >&2; exit 1'],
    ['answers without a digest', 'echo "{}"'],
    ['answers with something else', 'echo \'{"digest":"latest"}\''],
  ])('changes nothing while the registry %s', async (_what, docker) => {
    const { code, err, dockerfile } = await pinBases(DOCKERFILE, { args: ['--resolve'], docker });

    expect(code).toBe(1);
    expect(err).toContain('Cannot find the digest of registry.example.com/host:4');
    expect(dockerfile).toBe(DOCKERFILE);
  });
});
