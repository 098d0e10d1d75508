import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';
import { measureExecuted } from '../../../dev/structure/measure-executed.ts';

it('finds what a chat and a batch job run, without what only their start runs', async () => {
  const { chat, job, item } = await measureExecuted(PROJECT_ROOT);

  const both = ['shared/agent/run-loop.ts', 'shared/composition-root.ts'];
  expect([...chat.keys()]).toEqual(expect.arrayContaining(both));
  expect([...job.keys()]).toEqual(expect.arrayContaining(both));
  // Every invocation passes the wrapper that guards queue messages.
  expect([...chat.keys()].filter((path) => path.startsWith('shared/batch/'))).toEqual([
    'shared/batch/queue-trigger.ts',
  ]);
  // The trigger reports that its invocation has started, and every result passes one hook.
  expect([...job.keys()].filter((path) => path.startsWith('shared/http/')).toSorted()).toEqual([
    'shared/http/library-response.ts',
    'shared/http/worker-http-server.ts',
  ]);
  expect(chat.has('shared/config/read-config.ts')).toBe(false);
  expect([...item.keys()].filter((path) => !job.has(path))).toEqual([]);
  expect(item.size).toBeGreaterThan(10);
  expect(item.size).toBeLessThan(job.size);
}, 90_000);
