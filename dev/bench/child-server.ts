import { fork } from 'node:child_process';
import { join } from 'node:path';
import { once } from 'node:events';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';

/** One process of the measured environment. */
export interface ChildServer {
  readonly url: string;
  /** The process whose memory is measured. */
  readonly pid: number;
  /** Resolves to the last message of the child, if it sends one at its end. */
  stop(): Promise<unknown>;
}

const startedSchema = z.object({ url: z.string(), pid: z.number() });

export interface ChildServerOptions {
  /** A script, relative to this folder. */
  readonly script: string;
  readonly input: unknown;
}

/**
 * Starts a server in a process of its own, so that no server takes time from another one's event
 * loop.
 */
export async function startChildServer({
  script,
  input,
}: ChildServerOptions): Promise<ChildServer> {
  const child = fork(join(import.meta.dirname, script), [JSON.stringify(input)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const [message] = (await Promise.race([
    once(child, 'message'),
    exited.then(() => {
      throw new CliError(`Cannot measure: ${script} ended before it served`);
    }),
  ])) as [unknown];
  const { url, pid } = startedSchema.parse(message);
  return {
    url,
    pid,
    async stop() {
      let last: unknown;
      child.on('message', (sent) => {
        last = sent;
      });
      child.send('stop');
      await exited;
      return last;
    },
  };
}

/** In the child: sends its address to the parent, and ends when the parent requests it or ends. */
export function serveChild(part: { url: string; pid: number; stop: () => Promise<void> }): void {
  process.once('message', () => void part.stop().then(() => process.exit(0)));
  process.once('disconnect', () => process.exit(0));
  process.send?.({ url: part.url, pid: part.pid });
}
