import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type ScriptedMcpServer,
  startScriptedMcpServer,
  textResult,
} from '../support/mcp/scripted-mcp-server.ts';
import {
  startLastingEnvironment,
  type HostRun,
  type LastingEnvironment,
} from './support/lasting-environment.ts';
import { eventually } from './support/post-chat.ts';

const JOBS = 10;
const ITEMS = 100;
const CONCURRENCY = 4;
const KILLS = 20;
const KILLS_PER_RUN = 4;
/** One item of so many uses the tool. */
const WITH_TOOLS = 4;
const PAY_MS = 100;
/** As many messages as the host hands to one worker at once. */
const DELIVERIES = readDeliveries();
const SETTINGS = {
  OPENAI_MODEL: 'dev/slow-100',
  AGENT__BATCH__CONCURRENCY: String(CONCURRENCY),
  AGENT__BATCH__QUEUE_OWNER: 'address:unknown',
  AGENT__CACHE__TTL_SECONDS: '0',
  AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
  AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:01',
  AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.2',
};
const batchSchema = z.object({
  status: z.string(),
  request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
  progress: z.object({ shards: z.object({ interrupted: z.int(), running: z.int() }) }),
});

function readDeliveries(): number {
  const queues = z.object({ batchSize: z.int(), newBatchThreshold: z.int() });
  const { extensions } = z
    .object({ extensions: z.object({ queues }) })
    .parse(JSON.parse(readFileSync('host.json', 'utf8')));
  return extensions.queues.batchSize + extensions.queues.newBatchThreshold;
}

function jobId(number: number): string {
  return `killed-${number}`;
}

async function submit(environment: LastingEnvironment, jobs: number): Promise<void> {
  const ids = Array.from({ length: jobs }, (_, number) => jobId(number));
  await Promise.all(
    ids.map((id) => environment.storage.submit({ v: 1, jobId: id, items: itemsOf(id) })),
  );
}

/** Some of the items make the model call a tool that must not be repeated. */
function itemsOf(id: string) {
  return Array.from({ length: ITEMS }, (_, n) => ({
    custom_id: `item-${n}`,
    body: {
      message: n % WITH_TOOLS === 0 ? `shop__pay {"order":"${id}/item-${n}"}` : `Question ${n}`,
    },
  }));
}

interface Shop {
  readonly server: ScriptedMcpServer;
  /** The orders that were paid, as often as they were. */
  readonly paid: readonly string[];
}

const order = z.object({ order: z.string() });

/** A tool behind a real address, slow enough to be interrupted. */
async function startShop(): Promise<Shop> {
  const paid: string[] = [];
  const server = await startScriptedMcpServer([
    {
      name: 'pay',
      run({ id, input, response }) {
        paid.push(order.parse(input).order);
        response.setHeader('content-type', 'application/json');
        const answer = JSON.stringify({ jsonrpc: '2.0', id, result: textResult('paid') });
        setTimeout(() => response.end(answer), PAY_MS);
      },
    },
  ]);
  return { server, paid };
}

/** How many results each job has. */
async function resultCounts(environment: LastingEnvironment, jobs: number): Promise<number[]> {
  const ids = Array.from({ length: jobs }, (_, number) => jobId(number));
  const read = await Promise.all(ids.map((id) => environment.storage.read(id)));
  return read.map((job) => job?.results.size ?? 0);
}

/** Waits for calls of the model, however slow the machine is, or until nothing is left to do. */
async function worksOrIsDone(environment: LastingEnvironment, calls: number): Promise<void> {
  const works = () => environment.model.calls().length > calls;
  for (;;) {
    // Counting the results costs the storage more than a look at the calls.
    const hasWorked = await eventually('it works', works, 2_000).then(
      () => true,
      () => false,
    );
    if (hasWorked) return;
    const counts = await resultCounts(environment, JOBS);
    if (counts.every((count) => count === ITEMS)) return;
  }
}

async function readBatch({ url }: HostRun, id: string) {
  const response = await fetch(`${url}/v1/batches/${id}`);
  return batchSchema.parse(await response.json());
}

describe('a worker that is killed again and again', () => {
  it('Q5: leaves one result for each of a thousand items, and no tool call twice', async () => {
    const shop = await startShop();
    const environment = await startLastingEnvironment({
      ...SETTINGS,
      AGENT__TOOLS__MCP__SHOP__URL: shop.server.url,
      AGENT__TOOLS__MCP__SHOP__TOOLS: 'pay',
    });
    try {
      await submit(environment, JOBS);
      let kills = 0;
      while (kills < KILLS) {
        const run = await environment.startHost();
        for (let inRun = 0; inRun < KILLS_PER_RUN; inRun += 1) {
          await eventually('a worker is there', () => run.workerPid() > 0);
          const calls = environment.model.calls().length;
          // Half as many again as it can have in flight, so that each job has new results. A job
          // without any is given up after eight kills in a row.
          const enough = calls + 1.5 * DELIVERIES * CONCURRENCY;
          await worksOrIsDone(environment, enough);
          await delay(Math.random() * 100);
          const pid = run.workerPid();
          process.kill(pid, 'SIGKILL');
          kills += 1;
          await eventually('another worker is there', () => run.workerPid() !== pid);
          await environment.breakHolds();
        }
        run.script.child.kill('SIGKILL');
        await run.script.ended;
        await environment.breakHolds();
      }
      await environment.startHost();
      await eventually(
        'every item has a result',
        async () => (await resultCounts(environment, JOBS)).every((count) => count === ITEMS),
        60_000,
      );

      const jobs = await Promise.all(
        Array.from({ length: JOBS }, (_, number) => environment.storage.read(jobId(number))),
      );
      const lines = jobs.flatMap((job) => [...(job?.results.values() ?? [])]);
      const perJob = jobs.map(
        (job) => new Set([...(job?.results.values() ?? [])].map((line) => line.custom_id)).size,
      );
      const ends = kills + KILLS / KILLS_PER_RUN;
      expect(perJob).toEqual(Array(JOBS).fill(ITEMS));
      expect(lines.flatMap(({ error }) => error?.message ?? [])).toEqual([]);
      expect(environment.model.calls().length).toBeLessThanOrEqual(
        JOBS * (ITEMS + ITEMS / WITH_TOOLS) + ends * DELIVERIES * CONCURRENCY,
      );
      const effects = lines.flatMap(({ tool_effects: effects = [] }) => effects);
      const completed = effects.filter(({ status }) => status === 'ok').length;
      expect(effects).toHaveLength((JOBS * ITEMS) / WITH_TOOLS);
      expect(new Set(effects.map(({ status }) => status))).toEqual(new Set(['ok', 'interrupted']));
      expect(new Set(shop.paid).size).toBe(shop.paid.length);
      expect(shop.paid.length).toBeGreaterThanOrEqual(completed);
    } finally {
      await environment.stop();
      await shop.server.stop();
    }
  }, 300_000);
});

describe('a host that is killed', () => {
  it('Q5: goes on where it was, and says meanwhile what it waits for', async () => {
    const environment = await startLastingEnvironment(SETTINGS);
    try {
      await submit(environment, 1);
      const first = await environment.startHost();
      await eventually('some items are done', async () => {
        const [count = 0] = await resultCounts(environment, 1);
        return count >= 20;
      });
      first.script.child.kill('SIGKILL');
      await first.script.ended;
      await environment.breakHolds();
      const atKill = environment.model.calls().length;

      const second = await environment.startHost();
      const meanwhile = await readBatch(second, jobId(0));
      await eventually(
        'the batch has ended',
        async () => (await readBatch(second, jobId(0))).status === 'completed',
        60_000,
      );

      const counts = (await readBatch(second, jobId(0))).request_counts;
      expect(meanwhile).toMatchObject({
        status: 'in_progress',
        progress: { shards: { interrupted: 1, running: 0 } },
      });
      expect(counts).toEqual({ total: ITEMS, completed: ITEMS, failed: 0 });
      expect(atKill).toBeLessThan(ITEMS);
      expect(environment.model.calls().length).toBeLessThanOrEqual(ITEMS + CONCURRENCY);
    } finally {
      await environment.stop();
    }
  }, 120_000);
});
