import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';

const SCRIPT = 'node_modules/@modelcontextprotocol/server-everything/dist/index.js';
const PRELOADED = 'test/support/mcp/listen-on-loopback.ts';
const address = z.looseObject({ port: z.int() });

export interface EverythingServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** The reference server of the protocol, in a process of its own. */
export async function startEverythingServer(): Promise<EverythingServer> {
  const args = ['--import', join(PROJECT_ROOT, PRELOADED), join(PROJECT_ROOT, SCRIPT)];
  const child = spawn(process.execPath, [...args, 'streamableHttp'], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [, json] = /^listening (.*)$/.exec(line) ?? [];
    if (json === undefined) continue;
    const { port } = address.parse(JSON.parse(json));
    return {
      url: `http://127.0.0.1:${port}/mcp`,
      async stop() {
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      },
    };
  }
  throw new Error('The server ended before it was listening');
}
