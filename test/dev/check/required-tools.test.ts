import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findTool, requireTool } from '../../support/required-tools.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tools-'));
  for (const program of ['google-chrome', 'dotnet']) {
    await writeFile(join(folder, program), '');
    await chmod(join(folder, program), 0o755);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a program that tests need', () => {
  it('is found in the path under any of its names', () => {
    const found = findTool('chromium', { PATH: `/nowhere:${folder}` });

    expect(found).toBe(join(folder, 'google-chrome'));
    expect(requireTool('chromium', { PATH: folder, CI: 'true' })).toEqual({});
  });

  it.each([{}, { CI: '' }, { CI: '0' }, { CI: 'false' }])(
    'is named by the skipped tests where it is missing: %o',
    (variables) => {
      const options = requireTool('redis-server', { PATH: folder, ...variables });

      const install = 'apt-get install redis-server';
      expect(options).toEqual({
        skip: true,
        meta: { missingTool: { name: 'redis-server', install } },
      });
    },
  );

  it.each(['true', '1'])('fails the tests where it is missing and CI is %s', (ci) => {
    expect(() => requireTool('redis-server', { PATH: '', CI: ci })).toThrow(
      'redis-server must be installed: apt-get install redis-server',
    );
  });

  it('is missing on a platform that does not have it', () => {
    const isThere = process.platform === 'linux' && process.arch === 'x64';

    const options = requireTool('the Bicep compiler', { PATH: folder });

    expect(options.skip).toBe(isThere ? undefined : true);
  });
});
