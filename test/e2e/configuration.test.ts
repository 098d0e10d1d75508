import { afterEach, describe, expect, it } from 'vitest';
import { postChat } from './support/post-chat.ts';
import { startWorld, type World } from './support/start-world.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

describe('a service with wrong settings', () => {
  it('stays alive, is not ready, and names every wrong setting but no value', async () => {
    world = await startWorld({
      settings: {
        OPENAI_BASE_URL: 'ftp://canary-value',
        AGENT__LIMITS__HEARTBEAT_MS: 'canary-value',
        AGENT__TELEMETRY__LOG_LEVEL: 'canary-value',
      },
    });

    const [health, ready, chat] = await Promise.all([
      fetch(`${world.url}/health`),
      fetch(`${world.url}/ready`),
      postChat(world.url, { message: 'Hi' }),
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
    expect(world.log.join('\n')).not.toContain('canary-value');
  });
});
