import { afterEach, describe, expect, it } from 'vitest';
import { postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment | undefined;
afterEach(async () => {
  await environment?.stop();
  environment = undefined;
});

describe('a service with wrong settings', () => {
  it('stays alive, is not ready, and names every wrong setting but no value', async () => {
    environment = await startEnvironment({
      settings: {
        OPENAI_BASE_URL: 'ftp://canary-value',
        AGENT__LIMITS__HEARTBEAT_MS: 'canary-value',
        AGENT__TELEMETRY__LOG_LEVEL: 'canary-value',
      },
    });

    const [health, ready, chat] = await Promise.all([
      fetch(`${environment.url}/health`),
      fetch(`${environment.url}/ready`),
      postChat(environment.url, { message: 'Hi' }),
    ]);

    const readyText = await ready.text();
    const chatText = await chat.text();
    expect([health.status, ready.status, chat.status]).toEqual([200, 503, 503]);
    for (const text of [readyText, chatText]) {
      expect(JSON.parse(text)).toMatchObject({ error: { code: 'config_unavailable' } });
      expect(text).toContain('OPENAI_BASE_URL');
      expect(text).toContain('AGENT__LIMITS__HEARTBEAT_MS');
      expect(text).toContain('AGENT__TELEMETRY__LOG_LEVEL');
      expect(text).not.toContain('canary-value');
    }
    expect(environment.log.join('\n')).not.toContain('canary-value');
  });
});
