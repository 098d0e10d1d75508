import type { Agent } from '../../../shared/agent/agent.ts';
import { systemClock } from '../../../shared/clock.ts';
import { openAiResponses } from '../../../shared/protocols/openai-responses.ts';
import { responsesRequestToJson } from '../../../shared/protocols/openai-responses-request.ts';
import type { RunConversations } from '../../../shared/runs/run-agent.ts';
import { createRuns, type Runs } from '../../../shared/runs/create-runs.ts';
import type { RunEnd, RunEvent, RunRecord } from '../../../shared/runs/run-record.ts';
import type { TextEncryption } from '../../../shared/storage/text-encryption.ts';
import { createMemoryContainer, type MemoryContainer } from '../batch/memory-container.ts';
import { createRecordedTelemetry } from '../recorded-telemetry.ts';

const PLAIN: TextEncryption = { seal: (text) => text, open: (text) => text };

interface RunsScript {
  readonly agent: Agent;
  readonly sliceMs?: number;
  readonly deliveryMs?: number;
  readonly maxRunMs?: number;
  readonly encryption?: TextEncryption;
  readonly conversations?: RunConversations;
}

export interface RunsUnderTest {
  readonly runs: Runs;
  readonly container: MemoryContainer;
  /** Messages that were sent and not delivered yet. */
  readonly sent: { readonly message: unknown; readonly delaySeconds: number }[];
  /** Delivers the next message, and resolves to how many seconds it was delayed. */
  deliver(): Promise<number>;
  /** Delivers messages until there are none. */
  deliverAll(): Promise<void>;
}

/** Stored runs in memory, with a queue that the test delivers. */
export function makeRuns({ agent, encryption = PLAIN, ...limits }: RunsScript): RunsUnderTest {
  const container = createMemoryContainer();
  const sent: { message: unknown; delaySeconds: number }[] = [];
  const runs = createRuns({
    agent,
    container,
    encryption,
    queue: {
      async send({ owner, id }, { delaySeconds }) {
        sent.push({ message: { v: 1, owner, runId: id }, delaySeconds });
      },
      receive: async () => [],
    },
    reserve: async () => ({ hooks: {}, settle: async () => undefined }),
    clock: systemClock,
    telemetry: createRecordedTelemetry(),
    maxRunMs: 60_000,
    sliceMs: 60_000,
    deliveryMs: 60_000,
    cancelCheckMs: 10,
    flushMs: 1,
    pollMs: 5,
    ...limits,
  });
  async function deliver(): Promise<number> {
    const next = sent.shift();
    if (next === undefined) throw new Error('There is no message');
    await runs.process(next.message);
    return next.delaySeconds;
  }
  return {
    runs,
    container,
    sent,
    deliver,
    async deliverAll() {
      while (sent.length > 0) await deliver();
    },
  };
}

/** A background run of the Responses API. */
export function recordOf(input: string, options: Partial<RunRecord> = {}): RunRecord {
  const parsed = openAiResponses.parse({ input, background: true });
  const request = { ...parsed, isStored: true };
  return {
    v: 1,
    id: request.id,
    owner: 'owner',
    protocol: openAiResponses.id,
    request: responsesRequestToJson(request),
    requestId: 'r',
    publicModel: 'agent',
    createdAt: Date.now(),
    expiresAt: Date.now() + 60_000,
    isBackground: true,
    isStreamed: false,
    ...options,
  };
}

/** What a reader of the run finds: its texts, how often a text was void, and its end. */
export async function readRun({ runs }: RunsUnderTest, record: RunRecord) {
  const found = await runs.service.find(record);
  if (found === undefined) return undefined;
  const { events, end } = await runs.service.history(found.record);
  return { status: found.status, text: textOf(events), end, events };
}

function textOf(events: readonly RunEvent[]): string {
  return events
    .map((event) => {
      if (event.type === 'restart') return '|';
      return event.type === 'text-delta' ? event.text : '';
    })
    .join('');
}

export async function readAll(
  events: AsyncIterable<RunEvent | RunEnd>,
): Promise<(RunEvent | RunEnd)[]> {
  return Array.fromAsync(events);
}
