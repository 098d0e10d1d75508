import type { Agent, AgentInput, RunContext } from '../../shared/agent/agent.ts';
import { createGuardedAgent } from '../../shared/agent/guarded-agent.ts';
import { createAgent } from '../../shared/agent/run-loop.ts';
import { createMarker } from '../../shared/guardrails/canary.ts';
import { createGuardrailHealth } from '../../shared/guardrails/decisions.ts';
import { createGuardrails, type GuardrailSettings } from '../../shared/guardrails/guardrails.ts';
import type { Model, ModelResponse } from '../../shared/model/model.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { median } from './measure-requests.ts';
import type { SpeedRow } from './report.ts';

const RUNS = 400;
const ROUNDS = 7;
const CHUNK_CHARS = 48;
const TARGET_MS = 1;

/** Everything that costs time, at its strictest. */
const SETTINGS: GuardrailSettings = {
  inputValidation: {
    maxTotalChars: 100_000,
    scripts: ['Latin'],
    maxOtherLetters: 10,
    attachments: 'none',
    attachmentTypes: [],
    onError: 'closed',
  },
  piiDetection: {
    input: 'redact',
    output: 'redact',
    toolResults: 'redact',
    types: [],
    restoreInTools: [],
    onError: 'closed',
  },
  promptInjection: {
    user: 'block',
    userThreshold: 0.99,
    documents: 'block',
    documentThreshold: 0.99,
    onError: 'open',
  },
  output: {
    canary: 'block',
    secrets: 'redact',
    links: 'redact',
    images: 'redact',
    allowedHosts: [],
    onError: 'closed',
  },
};

const SENTENCES =
  'Our order 4711-0815 of 12 March has not arrived, although the page says that it was sent on Monday. ' +
  'Please write to jane.doe@shop.example or call 030 1234567 before noon and tell us what happened. ' +
  'The parcel had three books, a lamp and a chair; the total was 249.90 EUR with version 10.2.14 of the form. ';

/** CPU that the guardrails add to a run with a message and an answer of 1 kB each. */
export async function measureGuardrails(): Promise<SpeedRow[]> {
  const plain = createAgent({ model: echo, instructions: PROMPT });
  const guardrails = createGuardrails({
    settings: SETTINGS,
    blockedPatterns: [],
    canaryTexts: [createMarker()],
    prompt: PROMPT,
    secrets: () => [],
    health: createGuardrailHealth(() => Date.now()),
  });
  const guarded = createGuardedAgent({
    agent: plain,
    guardrails,
    prompt: { instructions: PROMPT },
  });
  const ways = [
    ['whole', runWhole],
    ['stream', runStream],
  ] as const;
  const rows: SpeedRow[] = [];
  for (const [name, run] of ways) {
    const added: number[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const without = await cpuMs(() => run(plain));
      const with_ = await cpuMs(() => run(guarded));
      // The first round compiles the code.
      if (round > 0) added.push(with_ - without);
    }
    const ms = median(added);
    rows.push({
      what: `guardrails: CPU added to a ${name === 'whole' ? 'whole answer' : 'stream'}, 1 kB in and out`,
      measured: `${ms.toFixed(2)} ms`,
      target: `<= ${TARGET_MS} ms`,
      isMet: ms <= TARGET_MS,
      how: `all guardrails on, ${RUNS} runs of different texts, median of ${ROUNDS} interleaved rounds`,
    });
  }
  return rows;
}

const PROMPT =
  'You answer questions about orders of the shop. Be brief and polite, and never promise a refund.';

let counter = 0;

/** A message of 1 kB that no run had before: scores of equal texts are kept. */
function nextInput(): AgentInput {
  counter += 1;
  const content = `${counter}. ${SENTENCES.repeat(4)}`.slice(0, 1_024);
  return { messages: [{ role: 'user', content }] };
}

function context(): RunContext {
  return {
    signal: new AbortController().signal,
    deadlineAt: Number.MAX_SAFE_INTEGER,
    traceparent: '',
    telemetry: noopTelemetry,
  };
}

async function runWhole(agent: Agent): Promise<void> {
  await agent.run(nextInput(), context());
}

async function runStream(agent: Agent): Promise<void> {
  for await (const event of agent.stream(nextInput(), context())) void event;
}

/** Mean CPU time of one run in milliseconds. */
async function cpuMs(run: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  for (let count = 0; count < RUNS; count += 1) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / RUNS;
}

const ANSWER = SENTENCES.repeat(4).slice(0, 1_024);

/** Answers at once. */
const echo: Model = {
  complete: async () => response(),
  async *stream() {
    for (let at = 0; at < ANSWER.length; at += CHUNK_CHARS) {
      yield { type: 'text-delta', text: ANSWER.slice(at, at + CHUNK_CHARS) };
    }
    yield { type: 'done', response: response() };
  },
};

function response(): ModelResponse {
  return {
    text: ANSWER,
    toolCalls: [],
    finishReason: 'stop',
    usage: { inputTokens: 256, outputTokens: 256, totalTokens: 512 },
    model: 'echo',
  };
}
