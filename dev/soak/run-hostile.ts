import { constants, setPriority } from 'node:os';
import { z } from 'zod';
import { serveChild } from '../bench/child-server.ts';
import { createHostileCallers } from './hostile-callers.ts';

/**
 * A process of its own with the lowest priority: what the hostile clients themselves compute is done
 * on the machines of an attacker, so it must not take processor time from the service.
 */
setPriority(constants.priority.PRIORITY_LOW);
const { url } = z.object({ url: z.string() }).parse(JSON.parse(process.argv[2] ?? ''));
const callers = createHostileCallers();
const over = new AbortController();
const running = Promise.all(callers.map((caller) => caller.run(url, over.signal)));
serveChild({
  url,
  pid: process.pid,
  async stop() {
    over.abort();
    await running;
    const statuses = callers.map((caller) => ({
      name: caller.name,
      statuses: [...caller.statuses],
    }));
    await new Promise((resolve) => process.send?.(statuses, resolve));
  },
});
