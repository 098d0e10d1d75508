import { setTimeout as delay } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import { startAzurite } from '../azurite.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { RUN_CONTAINER } from '../../shared/runs/storage-names.ts';
import { HIDDEN_VARIABLE, type HostProcess, startHostProcess } from './host-process.ts';
import { expectedText, startStepModel } from './step-model.ts';

export interface KillOptions {
  readonly runs: number;
  readonly stepsPerRun: number;
  readonly stepMs: number;
  readonly workerKills: number;
  readonly hostKills: number;
  /** The time between two kills. */
  readonly killEveryMs: number;
  readonly timeoutMs: number;
  /** Ends what a killed process leaves behind at once: its leases, and its hidden messages. */
  readonly endsLeftovers?: boolean | undefined;
  readonly print: (line: string) => void;
}

export interface KillReport {
  /** Runs that did not complete with their text. */
  readonly wrong: readonly string[];
  /** Followers that did not read the same events as a later reader. */
  readonly different: readonly string[];
  /** Model responses that were paid more than once. */
  readonly paidAgain: number;
  /** Model calls that were open when a process was killed. */
  readonly openAtKills: number;
  readonly seconds: number;
}

const SETTINGS = {
  AGENT__TOOLS__ENABLED: 'calculator',
  AGENT__AGENT__MAX_STEPS: '64',
  AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
  AGENT__LIMITS__TOKENS_PER_MINUTE: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS: '10000',
  AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.5',
} as const;

const RETRY_SOON = {
  AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:01',
} as const;

/** Starts runs, follows them, and kills workers and hosts until all runs have ended. */
export async function killRuns(options: KillOptions): Promise<KillReport> {
  const { runs, print } = options;
  const startedAt = performance.now();
  const [azurite, model] = await Promise.all([
    startAzurite(),
    startStepModel({ steps: options.stepsPerRun, stepMs: options.stepMs }),
  ]);
  await prepareStorage(azurite.connectionString);
  const { endsLeftovers = false } = options;
  const environment = {
    ...SETTINGS,
    [HIDDEN_VARIABLE]: endsLeftovers ? '2000' : '20000',
    ...(endsLeftovers ? RETRY_SOON : {}),
    AzureWebJobsStorage: azurite.connectionString,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'development',
    OPENAI_MODEL: 'steps',
  };
  const state: KillState = { host: await startHostProcess(environment), environment };
  const deadline = AbortSignal.timeout(options.timeoutMs);
  try {
    const names = Array.from({ length: runs }, (_, index) => `run-${index}`);
    const followers = names.map((name) => followToEnd(name, { state, signal: deadline }));
    const done = Promise.all(followers);
    const openAtKills = await killAgainAndAgain(state, {
      ...options,
      open: () => model.open(),
      afterKill: () => (endsLeftovers ? breakLeases(azurite.connectionString) : undefined),
    });
    print(`killed ${options.workerKills} workers and ${options.hostKills} hosts`);
    const followed = await done;
    const replays = await Promise.all(followed.map((one) => replayOf(one.id, state)));
    return {
      wrong: followed
        .filter(({ text, name }) => text !== expectedText(name))
        .map(({ name, text }) => `${name}: ${text}`),
      different: followed
        .filter(({ events }, index) => events.join('\n') !== replays[index])
        .map(({ name }) => name),
      paidAgain: [...model.answered.values()].reduce((sum, count) => sum + count - 1, 0),
      openAtKills,
      seconds: Math.round((performance.now() - startedAt) / 1_000),
    };
  } finally {
    await state.host.kill();
    await Promise.all([model.stop(), azurite.stop()]);
  }
}

async function breakLeases(connectionString: string): Promise<void> {
  const blobs = BlobServiceClient.fromConnectionString(connectionString);
  const container = blobs.getContainerClient(RUN_CONTAINER);
  for await (const { name, properties } of container.listBlobsFlat()) {
    if (properties.leaseState !== 'leased') continue;
    const lease = container.getBlobClient(name).getBlobLeaseClient();
    // It may have ended in the meantime.
    await lease.breakLease(0).catch(() => undefined);
  }
}

interface KillState {
  host: HostProcess;
  readonly environment: Readonly<Record<string, string>>;
}

interface KillPlan extends KillOptions {
  readonly open: () => number;
  readonly afterKill: () => Promise<void> | undefined;
}

async function killAgainAndAgain(
  state: KillState,
  { workerKills, hostKills, killEveryMs, open, afterKill }: KillPlan,
): Promise<number> {
  const total = workerKills + hostKills;
  let openAtKills = 0;
  for (let kill = 1; kill <= total; kill += 1) {
    await delay(killEveryMs);
    openAtKills += open();
    // Hosts are killed at equal distances among the workers.
    const isHost =
      Math.floor((kill * hostKills) / total) > Math.floor(((kill - 1) * hostKills) / total);
    const pid = state.host.workerPid();
    if (isHost) {
      await state.host.kill();
      state.host = await startHostProcess(state.environment);
    } else if (pid !== undefined) killProcess(pid);
    await afterKill();
  }
  return openAtKills;
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

interface FollowedRun {
  readonly name: string;
  readonly id: string;
  readonly text: string;
  readonly events: readonly string[];
}

interface FollowOptions {
  readonly state: KillState;
  readonly signal: AbortSignal;
}

/** Creates a run and follows it over every broken connection, from the last event that arrived. */
async function followToEnd(name: string, options: FollowOptions): Promise<FollowedRun> {
  const id = await createRun(name, options);
  const events: string[] = [];
  while (!options.signal.aborted) {
    const after = events.length === 0 ? '' : `&starting_after=${events.length - 1}`;
    const { url } = options.state.host;
    const isWhole = await readEvents(`${url}/v1/responses/${id}?stream=true${after}`, events).catch(
      () => false,
    );
    if (isWhole) return { name, id, text: textOf(events), events };
    await delay(200);
  }
  return { name, id, text: 'not ended in time', events };
}

async function createRun(name: string, { state, signal }: FollowOptions): Promise<string> {
  const body = JSON.stringify({ input: `${name} please`, background: true, stream: false });
  while (!signal.aborted) {
    try {
      const response = await fetch(`${state.host.url}/v1/responses`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      if (response.ok) return z.object({ id: z.string() }).parse(await response.json()).id;
    } catch {
      // The host or its worker was killed.
    }
    await delay(200);
  }
  throw new Error('Cannot create a run in time');
}

/** Resolves to whether the stream ended with its end mark. */
async function readEvents(url: string, events: string[]): Promise<boolean> {
  const response = await fetch(url);
  if (!response.ok) return false;
  let isWhole = false;
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') isWhole = true;
      else events.push(data);
    },
  });
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) parser.feed(decoder.decode(part, { stream: true }));
  return isWhole;
}

async function replayOf(id: string, { host }: KillState): Promise<string> {
  const events: string[] = [];
  await readEvents(`${host.url}/v1/responses/${id}?stream=true`, events);
  return events.join('\n');
}

const endSchema = z.object({
  response: z.object({
    status: z.string(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    output: z.array(z.object({ content: z.array(z.object({ text: z.string() })).default([]) })),
  }),
});

function textOf(events: readonly string[]): string {
  const { data } = endSchema.safeParse(JSON.parse(events.at(-1) ?? 'null'));
  if (data === undefined) return 'without an end';
  const { status, error, output } = data.response;
  if (status !== 'completed') return `${status} ${error?.code} ${error?.message}`;
  return output
    .flatMap(({ content }) => content)
    .map(({ text }) => text)
    .join('|');
}
