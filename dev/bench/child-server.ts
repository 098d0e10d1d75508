import { fork } from 'node:child_process';
import { join } from 'node:path';
import { once } from 'node:events';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';

/** One process of the measured environment. */
export interface ChildServer {
  readonly url: string;
  /** The process whose memory counts. */
  readonly pid: number;
  stop(): Promise<void>;
}

const startedSchema = z.object({ url: z.string(), pid: z.number() });

export interface ChildServerOptions {
  /** A script of this folder. */
  readonly script: string;
  readonly input: unknown;
}

/** Starts a part in a process of its own, so that no part takes the time of another one's loop. */
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
      child.send('stop');
      await exited;
    },
  };
}

/** In the child: tells the parent where it is, and ends when told to or when the parent is gone. */
export function serveChild(part: { url: string; pid: number; stop: () => Promise<void> }): void {
  process.once('message', () => void part.stop().then(() => process.exit(0)));
  process.once('disconnect', () => process.exit(0));
  process.send?.({ url: part.url, pid: part.pid });
}
