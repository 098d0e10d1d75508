import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let folder: string;
let environment: TestEnvironment;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'package-'));
  await cp(join(PROJECT_ROOT, 'dist'), folder, { recursive: true });
  environment = await startEnvironment({ appRoot: folder });
});
afterAll(async () => {
  await environment.stop();
  await rm(folder, { recursive: true });
});

describe('the built package, copied elsewhere', () => {
  it('has no node_modules and needs none', async () => {
    const names = await readdir(folder);

    const health = await fetch(`${environment.url}/health`);
    const chat = await postChat(environment.url, { message: 'Hello' });
    const ready = await fetch(`${environment.url}/ready`);

    expect(names).not.toContain('node_modules');
    expect([health.status, chat.status, ready.status]).toEqual([200, 200, 200]);
    expect(await ready.json()).toMatchObject({ batch: { status: 'ready' } });
  });
});
