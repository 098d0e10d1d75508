import { eventually } from '../e2e/support/post-chat.ts';
import { answersChats, expectThat, linesWith, type Rehearsal } from './rehearsal.ts';
import type { Stack } from './stack.ts';

const WITHOUT_RUNS = { 'AzureWebJobs.runs.Disabled': 'true' } as const;
/** A run fails when its message is poison for the fourth time. */
const POISON_TIMES = 4;

/** The rehearsals of runs in the background. */
export const RUN_REHEARSALS: readonly Rehearsal[] = [
  {
    runbook: 'runs-poisoned',
    alerts: ['runs-poisoned'],
    fault: 'the message of a run is poison four times',
    async inject(stack) {
      await stack.restart(WITHOUT_RUNS);
      await startRun(stack);
      const [waiting] = (await stack.queue('agent-runs').peekMessages()).peekedMessageItems;
      const poison = stack.queue('agent-runs-poison');
      for (let time = 0; time < POISON_TIMES; time += 1) {
        await poison.sendMessage(waiting?.messageText ?? '');
        await eventually('the poison message is handled', async () => {
          const { approximateMessagesCount: left } = await poison.getProperties();
          return left === 0;
        });
      }
    },
    async diagnose(_stack, tables) {
      const lines = linesWith(tables, 'run message poisoned');
      expectThat(lines.length > 0, 'the log does not name the run');
      return 'the log line with the id of the run';
    },
    mitigation: 'the client sends its request again',
    async mitigate(stack) {
      // What is left of the failed run would wait while the next runbook is tried.
      await stack.queue('agent-runs').clearMessages();
      await stack.restart();
      await startRun(stack);
    },
    verify: answersChats,
  },
  {
    runbook: 'runs-stalled',
    alerts: ['runs-stalled'],
    fault: 'the function runs is disabled',
    async inject(stack) {
      await stack.restart(WITHOUT_RUNS);
      await startRun(stack);
    },
    async platformRows(stack) {
      const Uri = 'https://st.queue.core.windows.net/agent-runs/messages';
      const operations = (await hasRuns(stack)) ? ['PutMessage'] : ['PutMessage', 'DeleteMessage'];
      return { StorageQueueLogs: operations.map((OperationName) => ({ OperationName, Uri })) };
    },
    async diagnose(stack) {
      expectThat(await hasRuns(stack), 'the queue is empty');
      return 'az storage message peek: the first message waits';
    },
    mitigation: 'remove AzureWebJobs.runs.Disabled',
    mitigate: (stack) => stack.restart(),
    async verify(stack) {
      expectThat(!(await hasRuns(stack)), 'the first message waits');
    },
  },
];

async function startRun(stack: Stack): Promise<void> {
  const { status } = await stack.post('/api/chat', { message: 'Hello', background: true });
  expectThat(status === 200, `the run was answered ${status}`);
}

async function hasRuns(stack: Stack): Promise<boolean> {
  const { peekedMessageItems } = await stack.queue('agent-runs').peekMessages();
  return peekedMessageItems.length > 0;
}
