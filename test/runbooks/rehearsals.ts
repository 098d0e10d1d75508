import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runKql } from '../infra/support/run-kql.ts';
import {
  answersChats,
  expectThat,
  hasMessages,
  isReady,
  linesWith,
  readyReason,
  runBatch,
  runSnippet,
  submit,
  TOKEN_BUDGET,
  type Rehearsal,
} from './rehearsal.ts';
import { RUN_REHEARSALS } from './run-rehearsals.ts';

const RESOURCES = ['memory-critical', 'resource-exhaustion', 'resource-pressure'];
const PRELOADS = [
  new URL('../support/resolve-vaults-to-loopback.ts', import.meta.url),
  new URL('./small-instance.ts', import.meta.url),
].map((url) => `--import ${pathToFileURL(fileURLToPath(url)).href}`);

/** The runbooks of docs/runbooks/alerts whose faults this machine can have. */
export const REHEARSALS: readonly Rehearsal[] = [
  {
    runbook: 'service-down',
    alerts: ['service-down'],
    fault: 'the host does not run',
    inject: (stack) => stack.stopApp(),
    async probe(stack) {
      const locations = await Promise.all([1, 2, 3].map(() => stack.get('/health')));
      return locations.filter(({ status }) => status !== 200).length >= 2;
    },
    diagnose: async () => '/health: no answer',
    mitigation: 'deploy the last package again',
    mitigate: (stack) => stack.restart(),
    verify: answersChats,
  },
  {
    runbook: 'error-rate',
    alerts: ['error-rate-critical', 'error-rate-warning'],
    fault: 'the model is down',
    async inject(stack) {
      await stack.stopModel();
      await stack.chats(120, 'Hello');
    },
    async diagnose(_stack, tables) {
      const codes = runSnippet('error-rate', tables).map(({ code }) => String(code));
      expectThat(codes.includes('upstream_unavailable'), `the codes are ${codes.join(', ')}`);
      return 'the query by code: upstream_unavailable';
    },
    mitigation: 'the model serves again',
    mitigate: (stack) => stack.startModel(),
    verify: isReady,
  },
  {
    runbook: 'slo-burn',
    alerts: ['slo-fast-burn', 'slo-slow-burn'],
    fault: 'the model is down, among 220 requests',
    async inject(stack) {
      await stack.chats(150, 'Hello');
      await stack.stopModel();
      await stack.chats(70, 'Hello');
    },
    async diagnose(_stack, tables) {
      const good = Number(runSnippet('slo-burn', tables)[0]?.['good']);
      expectThat(good < 0.995, `${good} of the requests are good`);
      return `the query by requests: ${(100 * good).toFixed(1)} % are good`;
    },
    mitigation: 'the model serves again',
    mitigate: (stack) => stack.startModel(),
    verify: isReady,
  },
  {
    runbook: 'latency',
    alerts: ['latency-p99-critical', 'latency-p99-warning'],
    fault: 'the model answers after 10.5 s',
    async inject(stack) {
      await stack.restart({ OPENAI_MODEL: 'dev/slow-10500' });
      await stack.chats(20, 'Hello');
    },
    async diagnose(_stack, tables) {
      const [row] = runSnippet('latency', tables);
      const p99 = Number(Object.values(row ?? {}).at(-1));
      expectThat(p99 > 10_000, `p99 of the model calls is ${p99} ms`);
      return 'the query by model calls: the model is slow, not the app';
    },
    mitigation: 'a faster model',
    mitigate: (stack) => stack.restart(),
    async verify(stack) {
      await stack.chats(20, 'Hello');
    },
  },
  {
    runbook: 'resources',
    alerts: RESOURCES,
    fault: 'the instance has 120 MB of memory',
    inject: (stack) => stack.restart({ languageWorkers__node__arguments: PRELOADS.join(' ') }),
    async diagnose(_stack, tables) {
      const shares = (tables['AppMetrics'] ?? [])
        .filter(({ Name }) => Name === 'process.memory.utilization')
        .map(({ Max }) => Number(Max));
      return `the memory of the busiest instance: ${Math.round(100 * Math.max(...shares))} %`;
    },
    mitigation: 'raise INSTANCE_MEMORY_MB',
    mitigate: (stack) => stack.restart(),
    verify: answersChats,
  },
  {
    runbook: 'circuit-open',
    alerts: ['circuit-open'],
    fault: 'the model is down',
    async inject(stack) {
      await stack.stopModel();
      await stack.chats(12, 'Hello');
    },
    diagnose: (stack) => readyReason(stack, /"status":"(?:unready|degraded)"/),
    mitigation: 'the model serves again; the circuit closes by itself',
    mitigate: (stack) => stack.startModel(),
    verify: isReady,
  },
  {
    runbook: 'model-needs-operator',
    alerts: ['model-needs-operator'],
    fault: 'the model rejects the key',
    async inject(stack) {
      await stack.chat('dev/401-unless-second-key Hello');
    },
    async diagnose(_stack, tables) {
      const [line] = linesWith(tables, 'model endpoint misconfigured');
      const { code } = Object(line?.['Properties']) as Readonly<Record<string, unknown>>;
      expectThat(code === 'upstream_auth', `the code is ${String(code)}`);
      return 'the code in the log line: upstream_auth';
    },
    mitigation: 'store a valid key in the vault',
    mitigate: async (stack) => stack.vault.set('openai-api-key', 'second-key'),
    async verify(stack) {
      const { status } = await stack.chat('dev/401-unless-second-key Hello');
      expectThat(status === 200, `the chat answered ${status}`);
    },
  },
  {
    runbook: 'model-throttled',
    alerts: ['model-throttled'],
    fault: 'the model answers 429 to every fourth call',
    async inject(stack) {
      stack.throttleModel(true);
      await stack.chats(30, 'Hello');
    },
    async diagnose(_stack, tables) {
      const tokens = (tables['AppMetrics'] ?? [])
        .filter(({ Name }) => Name === 'gen_ai.client.token.usage')
        .reduce((sum, { Sum }) => sum + Number(Sum), 0);
      expectThat(tokens > 0, 'no tokens were counted');
      return `the panel of tokens: ${tokens} since the fault`;
    },
    mitigation: 'raise AZURE_OPENAI_CAPACITY',
    mitigate: async (stack) => stack.throttleModel(false),
    async verify(stack) {
      await stack.chats(30, 'Hello');
    },
  },
  {
    runbook: 'batch-poisoned',
    alerts: ['batch-poisoned'],
    fault: 'a message that is no job, in the poison queue',
    async inject(stack) {
      await stack.queue('batch-jobs-poison').sendMessage('{"v":1,"items":"none"}');
    },
    async diagnose(_stack, tables) {
      const lines = linesWith(tables, 'batch message poisoned');
      expectThat(lines.length > 0, 'the log does not name the message');
      return 'the log line, and the dead letter by npm run batch -- replay';
    },
    mitigation: 'submit a valid job',
    mitigate: (stack) => runBatch(stack, 'rehearsal-of-batch-poisoned'),
    verify: answersChats,
  },
  {
    runbook: 'batch-stalled',
    alerts: ['batch-stalled'],
    fault: 'the function batch is disabled',
    async inject(stack) {
      await stack.restart({ 'AzureWebJobs.batch.Disabled': 'true' });
      await submit(stack, 'rehearsal-of-batch-stalled');
    },
    async platformRows(stack) {
      const isWaiting = await hasMessages(stack);
      const Uri = 'https://st.queue.core.windows.net/batch-jobs/messages';
      const operations = isWaiting ? ['PutMessage'] : ['PutMessage', 'DeleteMessage'];
      return { StorageQueueLogs: operations.map((OperationName) => ({ OperationName, Uri })) };
    },
    async diagnose(stack) {
      expectThat(await hasMessages(stack), 'the queue is empty');
      return 'az storage message peek: the first message waits';
    },
    mitigation: 'remove AzureWebJobs.batch.Disabled',
    mitigate: (stack) => stack.restart(),
    async verify(stack) {
      expectThat(!(await hasMessages(stack)), 'the first message waits');
    },
  },
  ...RUN_REHEARSALS,
  {
    runbook: 'secrets-stale',
    alerts: ['secrets-stale'],
    fault: 'the vault answers 503',
    inject: async (stack) => stack.vault.be({ kind: 'status', status: 503 }),
    diagnose: (stack) => readyReason(stack, /"secrets":\{"status":"degraded"/),
    mitigation: 'the vault serves again',
    mitigate: async (stack) => stack.vault.be({ kind: 'well' }),
    verify: isReady,
  },
  {
    runbook: 'redis-away',
    alerts: ['redis-away'],
    fault: 'Redis answers 503',
    inject: async (stack) => stack.breakRedis(true),
    traffic: (stack) => stack.chat('Hello'),
    diagnose: (stack) => readyReason(stack, /"redis":\{"status":"degraded"/),
    mitigation: 'Redis serves again',
    mitigate: async (stack) => stack.breakRedis(false),
    verify: isReady,
  },
  {
    runbook: 'token-budget',
    alerts: ['token-budget'],
    fault: `one caller uses more than ${TOKEN_BUDGET} tokens`,
    async inject(stack) {
      await stack.chats(6, 'dev/long-2000');
    },
    async diagnose(_stack, tables) {
      const [row] = runKql(readFileSync('infra/queries/token-budget.kql', 'utf8'), {
        tables,
        now: new Date(),
      });
      return `the panel of tokens: ${String(row?.['tokens'])}`;
    },
    mitigation: 'lower the limit of the caller',
    mitigate: (stack) => stack.restart({ AGENT__LIMITS__TOKENS_PER_DAY: '5000' }),
    async verify(stack) {
      const { status, text } = await stack.chat('dev/long-6000');
      expectThat(status === 429 || status === 413, `the chat answered ${status}: ${text}`);
    },
  },
];
