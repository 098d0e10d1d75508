import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeBuild } from '../../../dev/build/describe-build.ts';

const NOW = new Date('2026-01-02T03:04:05.678Z');
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'describe-build-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function git(...command: string[]): Promise<string> {
  const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com'];
  const { stdout } = await promisify(execFile)('git', ['-C', root, ...author, ...command]);
  return stdout.trim();
}

async function commitFile(): Promise<string> {
  await git('init', '--quiet');
  await writeFile(join(root, 'file.txt'), 'one');
  await git('add', '.');
  await git('commit', '--quiet', '--message', 'first');
  return await git('rev-parse', 'HEAD');
}

describe('the description of a build', () => {
  it('names the commit of the repository, the version and the time', async () => {
    const commit = await commitFile();

    const info = await describeBuild({ root, packageVersion: '1.2.3', now: NOW });

    expect(info).toEqual({
      version: `1.2.3+${commit.slice(0, 12)}`,
      commit,
      builtAt: '2026-01-02T03:04:05.678Z',
    });
  });

  it('says when the files differ from the commit', async () => {
    const commit = await commitFile();
    await writeFile(join(root, 'file.txt'), 'two');

    const info = await describeBuild({ root, packageVersion: '1.2.3', now: NOW });

    expect(info.commit).toBe(`${commit}-dirty`);
    expect(info.version).toBe(`1.2.3+${commit.slice(0, 12)}-dirty`);
  });

  it('takes the commit that it is given where there is no repository', async () => {
    const info = await describeBuild({ root, packageVersion: '1.2.3', now: NOW, commit: COMMIT });

    expect(info).toMatchObject({ version: '1.2.3+0123456789ab', commit: COMMIT });
  });

  it.each([undefined, '', 'main'])(
    'knows no commit without a repository, given %j',
    async (commit) => {
      const info = await describeBuild({ root, packageVersion: '1.2.3', now: NOW, commit });

      expect(info).toMatchObject({ version: '1.2.3', commit: 'unknown' });
    },
  );
});
