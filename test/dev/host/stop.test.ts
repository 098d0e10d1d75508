import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { waitUntilGone } from '../../support/processes.ts';
import { fixtureRoot, startFixture } from './support/fixture-host.ts';
import { open, readAll, requestText } from './support/raw-http.ts';
import { waitUntil } from './support/wait-until.ts';

const startedSchema = z.object({ url: z.string(), workerPid: z.number() });

describe('a host that is stopped', () => {
  it('takes no new connection but lets calls and streams finish, then terminates the worker', async () => {
    const host = await startFixture('streaming', { timings: { httpDrainMs: 20_000 } });
    const pid = host.workerPid() ?? 0;
    const slow = host.get('/late/400');
    const socket = await open(host.port);
    socket.write(requestText('GET /ticks/20'));
    const stream = readAll(socket);
    await waitUntil(() => socket.bytesRead > 0, 'the first piece of the stream');

    const stopping = host.stop();

    await waitUntil(
      () =>
        host.get('/echo').then(
          () => false,
          () => true,
        ),
      'a refusal',
    );
    expect(await (await slow).text()).toBe('late');
    expect((await stream).endsWith('0\r\n\r\n')).toBe(true);
    await stopping;
    await host.logged('terminate hook ran');
    await waitUntilGone([pid]);
  });

  it('resets what takes longer than the grace', async () => {
    const host = await startFixture('streaming', { timings: { httpDrainMs: 200 } });
    const never = host.get('/never');
    await host.get('/echo');

    const [reset] = await Promise.allSettled([never, host.stop()]);

    expect(reset.status).toBe('rejected');
  });

  it('is not held up by a client that keeps its connection open', async () => {
    const host = await startFixture('streaming', { timings: { httpDrainMs: 60_000 } });
    const socket = await open(host.port);
    socket.write('GET /echo HTTP/1.1\r\nHost: x\r\n\r\n');
    const closed = readAll(socket);
    await waitUntil(() => socket.bytesRead > 0, 'an answer');

    await host.stop();

    expect(await closed).toContain('200 OK');
  });
});

describe('the process of a host', () => {
  it('leaves no worker behind when it is killed', async () => {
    const { child, started } = await runHost();

    child.kill('SIGKILL');

    await waitUntilGone([child.pid ?? 0, started.workerPid]);
  });

  it('ends by itself once it is stopped', async () => {
    const { child, started } = await runHost();
    await (await fetch(`${started.url}/echo`)).text();

    child.kill('SIGTERM');

    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    await waitUntilGone([started.workerPid]);
  });
});

async function runHost() {
  const script = join(import.meta.dirname, 'run-host.ts');
  const child = spawn(process.execPath, [script, fixtureRoot('streaming')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  const started = await new Promise<z.infer<typeof startedSchema>>((resolve) => {
    lines.on('line', (line) => {
      if (line.startsWith('{')) resolve(startedSchema.parse(JSON.parse(line)));
    });
  });
  return { child, started };
}
