import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startFixture } from './support/fixture-host.ts';

const seenSchema = z.object({ replaced: z.boolean(), seen: z.array(z.string()) });

describe('the hooks of an app', () => {
  it('run around each call, and may change its inputs, its handler and its outcome', async () => {
    const host = await startFixture('hooks');
    const ask = (input: string) => host.get('/input', { headers: { 'x-input': input } });

    const plain = seenSchema.parse(await (await ask('plain')).json());
    const replaced = seenSchema.parse(await (await ask('replaced')).json());
    const wrapped = await ask('wrapped');
    const recovered = await host.get('/recovers');
    const failed = await ask('fails');

    // The hook after the call has run before the answer was written.
    expect(plain).toEqual({ replaced: false, seen: ['pre', 'post carried'] });
    expect(replaced.replaced).toBe(true);
    expect(wrapped.headers.get('x-wrapped')).toBe('yes');
    expect(await recovered.text()).toBe('recovered');
    expect(failed.status).toBe(500);
  });

  it('run at the start, where functions may still be registered, and at the end', async () => {
    const host = await startFixture('hooks');

    const late = await host.get('/lateComer');
    await host.stop();

    expect(await late.text()).toBe('registered in appStart');
    await host.logged('appTerminate after appStart');
  });

  it('may rewrite what is logged', async () => {
    const host = await startFixture('hooks');

    await host.get('/input');

    const line = await host.logged('holds a [redacted]');
    expect(line).toMatchObject({ level: 'information', category: 'Function.input.User' });
    expect((await host.logged('loud words')).level).toBe('error');
  });
});
