import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { build } from '../../dev/build.ts';
import { isBuildFresh } from '../../dev/build-freshness.ts';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const SEVEN_MISTAKES = [
  '[limits]',
  'max_requst_bytes = 1111',
  'answer_deadline_ms = -2222',
  'heartbeat_ms = nan',
  '[telemetry]',
  'log_level = "canary-value"',
  '[batch]',
  'concurrency = 4444',
].join('\n');

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

/** The built package somewhere else, with an agent.toml of its own. */
async function deploy(
  agentToml: string,
  settings: Record<string, string> = {},
): Promise<TestEnvironment> {
  const outDir = join(PROJECT_ROOT, 'dist');
  if (!(await isBuildFresh({ root: PROJECT_ROOT, outDir }))) await build();
  const folder = await mkdtemp(join(tmpdir(), 'agent-toml-'));
  opened.push(() => rm(folder, { recursive: true }));
  await cp(outDir, folder, { recursive: true });
  await writeFile(join(folder, 'agent.toml'), agentToml);
  const environment = await startEnvironment({ appRoot: folder, settings });
  opened.push(() => environment.stop());
  return environment;
}

describe('agent.toml of a deployed package', () => {
  it('is read from the root of the package', async () => {
    const environment = await deploy('[limits]\nmax_request_bytes = 2048\n');

    const small = await postChat(environment.url, { message: 'Hi' });
    const large = await postChat(environment.url, { message: 'a'.repeat(2_048) });

    expect([small.status, large.status]).toEqual([200, 413]);
  });

  it('K6 with seven mistakes, two of them in the environment, is readable in ready', async () => {
    const environment = await deploy(SEVEN_MISTAKES, {
      OPENAI_BASE_URL: 'ftp://canary-value',
      AGENT__BATHC__CONCURRENCY: '5555',
    });

    const [health, ready] = await Promise.all([
      fetch(`${environment.url}/health`),
      fetch(`${environment.url}/ready`),
    ]);

    const text = await ready.text();
    expect([health.status, ready.status]).toEqual([200, 503]);
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'config_unavailable' } });
    for (const name of [
      'OPENAI_BASE_URL',
      'AGENT__BATHC__CONCURRENCY must be a known key; the nearest is AGENT__BATCH__CONCURRENCY',
      'agent.toml line 2: limits.max_requst_bytes must be a known key; the nearest is limits.max_request_bytes',
      'agent.toml line 3: limits.answer_deadline_ms',
      'agent.toml line 4: limits.heartbeat_ms',
      'agent.toml line 6: telemetry.log_level must be one of debug, info, warn, error',
      'agent.toml line 8: batch.concurrency',
    ]) {
      expect(text).toContain(name);
    }
    expect(text + environment.log.join('\n')).not.toMatch(/canary-value|1111|2222|4444|5555/);
  });
});
