import { ServiceError } from '../errors.ts';
import type { Guardrails, RunGuard } from '../guardrails/guardrails.ts';
import type { InputText } from '../guardrails/prompt-injection.ts';
import { guardText, mapJsonTexts } from '../guardrails/output-checks.ts';
import type { ContentPart, ResponseFormat, TextDelta } from '../model/model.ts';
import { parseJson } from '../json.ts';
import type { Agent, AgentEvent, AgentInput, Message, RunContext, RunResult } from './agent.ts';
import { responseFormatOf, type PromptOptions } from './model-request.ts';
import type { StepJournal } from './step-journal.ts';
import { createOutputCheck } from './structured-output.ts';

interface GuardedAgentOptions {
  readonly agent: Agent;
  readonly guardrails: Guardrails;
  /** For the shape of answers. */
  readonly prompt: PromptOptions;
}

/**
 * Wraps an agent with the guardrails: validation, personal data of the input, prompt injection, then
 * the run with its tools, then the rules for the output. A blocked run throws `guardrail_blocked`.
 */
export function createGuardedAgent({ agent, guardrails, prompt }: GuardedAgentOptions): Agent {
  async function start(input: AgentInput, context: RunContext): Promise<GuardedRun> {
    const checks = guardrails.startRun(context);
    const format = responseFormatOf(input, prompt);
    const guarded = await guardInput(input, checks);
    const journal = context.journal && withPlaceholders(context.journal, checks);
    return { checks, format, input: guarded, context: { ...context, journal, toolGuard: checks } };
  }
  return {
    async run(input, context) {
      const run = await start(input, context);
      return guardResult(await agent.run(run.input, run.context), run);
    },
    async *stream(input, context) {
      const run = await start(input, context);
      const events = agent.stream(run.input, run.context);
      const isJson = run.format !== undefined;
      yield* isJson && run.checks.changesOutput
        ? sendAtOnce(events, run)
        : guardStream(events, run);
    },
  };
}

interface GuardedRun {
  readonly checks: RunGuard;
  /** The shape of the answer; undefined for text. */
  readonly format: ResponseFormat | undefined;
  readonly input: AgentInput;
  readonly context: RunContext;
}

/**
 * The journal with the placeholders of the run. Those of the input are numbered alike by each process,
 * those of tool results are kept, because a later process does not see the results.
 */
function withPlaceholders(journal: StepJournal, checks: RunGuard): StepJournal {
  const outcomes = journal.steps.flatMap((step) => [...step.outcomes.values()]);
  checks.takePlaceholders();
  checks.resumePlaceholders({
    values: Object.fromEntries(
      outcomes.flatMap(({ placeholders = {} }) => Object.entries(placeholders)),
    ),
    texts: outcomes.map(({ output }) => output),
  });
  return {
    ...journal,
    addOutcome(place, outcome) {
      const added = checks.takePlaceholders();
      const placeholders = Object.keys(added).length === 0 ? undefined : added;
      return journal.addOutcome(place, { ...outcome, placeholders });
    },
  };
}

async function guardInput(input: AgentInput, checks: RunGuard): Promise<AgentInput> {
  checks.validate({
    texts: input.messages.map(textOf),
    images: input.messages.flatMap(imageUrlsOf),
    values: valuesOf(input),
  });
  const safe = input.messages.map((message) =>
    mapTexts(message, (text) => checks.redactInput(text)),
  );
  const texts: InputText[] = [];
  for (const message of safe) {
    mapTexts(message, (text) => {
      texts.push(text);
      return text.text;
    });
  }
  const screened = (await checks.screenInput(texts)).values();
  return {
    ...input,
    messages: safe.map((message) => mapTexts(message, ({ text }) => screened.next().value ?? text)),
  };
}

function textOf({ content }: Message): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('');
}

function imageUrlsOf({ content }: Message): string[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part: ContentPart) => (part.type === 'image' ? [part.url] : []));
}

function valuesOf({ tools = [], responseFormat, messages }: AgentInput): unknown[] {
  const calls = messages.flatMap((message) =>
    message.role === 'assistant' ? (message.toolCalls ?? []) : [],
  );
  return [
    ...tools.map(({ parameters }) => parameters),
    ...(responseFormat?.type === 'json_schema' ? [responseFormat.schema] : []),
    ...calls.map((call) => parseJson(call.arguments)),
  ];
}

type MapText = (text: InputText) => string;

/** The message with other texts. The function sees them in the same order each time. */
function mapTexts(message: Message, map: MapText): Message {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { ...message, content: map({ text: message.content, role: 'user' }) };
    case 'user':
      return { ...message, content: mapContent(message.content, map) };
    case 'tool':
      return { ...message, content: map({ text: message.content, role: 'tool' }) };
    case 'assistant': {
      const { content, toolCalls } = message;
      return {
        ...message,
        content: content === null ? null : map({ text: content, role: 'assistant' }),
        ...(toolCalls === undefined
          ? {}
          : {
              toolCalls: toolCalls.map(({ id, name, arguments: json }) => ({
                id,
                name,
                arguments: mapJsonTexts(json, (text) => map({ text, role: 'assistant' })),
              })),
            }),
      };
    }
  }
}

/** Neighbouring parts are one text, because a model reads them as one. */
function mapContent(
  content: string | readonly ContentPart[],
  map: MapText,
): string | readonly ContentPart[] {
  if (typeof content === 'string') return map({ text: content, role: 'user' });
  const joined: ContentPart[] = [];
  for (const part of content) {
    const last = joined.at(-1);
    if (part.type === 'text' && last?.type === 'text') {
      joined.splice(-1, 1, { type: 'text', text: last.text + part.text });
    } else joined.push(part);
  }
  return joined.map((part) =>
    part.type === 'text' ? { type: 'text', text: map({ text: part.text, role: 'user' }) } : part,
  );
}

async function guardResult(result: RunResult, run: GuardedRun): Promise<RunResult> {
  const { checks } = run;
  const { refusal, finishReason } = result;
  const isJson = run.format !== undefined && refusal === undefined;
  const text = isJson ? checks.checkOutputJson(result.text) : guardWhole(result.text, checks);
  if (isJson && text !== result.text && finishReason !== 'length') await assertValid(text, run);
  const safe = {
    ...result,
    text,
    ...(refusal === undefined ? {} : { refusal: guardWhole(refusal, checks) }),
    ...guardToolCalls(result, checks),
  };
  checks.passOutput();
  return safe;
}

function guardWhole(text: string, checks: RunGuard): string {
  return text === '' ? text : guardText(text, checks.startOutput());
}

function guardToolCalls(
  { clientToolCalls }: RunResult,
  checks: RunGuard,
): Pick<RunResult, 'clientToolCalls'> {
  if (clientToolCalls === undefined) return {};
  return {
    clientToolCalls: clientToolCalls.map(({ id, name, arguments: json }) => ({
      id,
      name,
      arguments: checks.checkOutputJson(json),
    })),
  };
}

/** @throws ServiceError guardrail_blocked if the answer lost its shape */
async function assertValid(text: string, { format, input }: GuardedRun): Promise<void> {
  if (format === undefined) return;
  const check = await createOutputCheck(format, input.responseFormat?.param);
  if (check?.validate(text) === undefined) return;
  throw new ServiceError(
    'guardrail_blocked',
    'The guardrails changed the answer, and it no longer has the requested format',
  );
}

/** JSON is checked as a whole: a part of it cannot be changed so that the rest stays valid. */
async function* sendAtOnce(
  events: AsyncIterable<AgentEvent>,
  run: GuardedRun,
): AsyncGenerator<AgentEvent, void> {
  for await (const event of events) {
    if (event.type === 'text-delta') continue;
    if (event.type !== 'done') {
      yield event;
      continue;
    }
    const result = await guardResult(event.result, run);
    const isRefusal = result.refusal !== undefined;
    if (result.text !== '') {
      yield { type: 'text-delta', text: result.text, ...(isRefusal ? { isRefusal } : {}) };
    }
    yield { type: 'done', result };
  }
}

async function* guardStream(
  events: AsyncIterable<AgentEvent>,
  { checks }: GuardedRun,
): AsyncGenerator<AgentEvent, void> {
  const answer = startText(checks);
  const refusal = startText(checks, true);
  for await (const event of events) {
    switch (event.type) {
      case 'text-delta':
        yield* (event.isRefusal === true ? refusal : answer).push(event);
        break;
      case 'step-end':
        yield* answer.flush();
        yield* refusal.flush();
        yield event;
        break;
      case 'tool-call':
      case 'tool-result':
        yield event;
        break;
      case 'done': {
        yield* answer.flush();
        yield* refusal.flush();
        const { text, refusal: words } = event.result;
        const sent = words === undefined ? answer.sent() : answer.sent() + refusal.sent();
        const result = {
          ...event.result,
          // An answer that is too long to be kept has no text.
          text: text === '' ? '' : sent,
          ...(words === undefined ? {} : { refusal: refusal.sent() }),
          ...guardToolCalls(event.result, checks),
        };
        checks.passOutput();
        yield { type: 'done', result };
      }
    }
  }
}

interface StreamedText {
  push(delta: TextDelta): Generator<AgentEvent>;
  /** Sends what is held back. The text may go on. */
  flush(): Generator<AgentEvent>;
  sent(): string;
}

/** The default of `model.max_body_bytes`, above which a streamed text is not kept. */
const MAX_SENT_CHARS = 8_388_608;

function startText(checks: RunGuard, isRefusal?: true): StreamedText {
  const stream = checks.startOutput();
  let all: string | undefined = '';
  function* send(text: string, unchanged?: TextDelta): Generator<AgentEvent> {
    if (text === '') return;
    // A text beyond the cap has no words in the result, as one that the model client drops.
    if (all !== undefined) all = all.length > MAX_SENT_CHARS ? undefined : all + text;
    if (text === unchanged?.text) yield unchanged;
    else yield { type: 'text-delta', text, ...(isRefusal === undefined ? {} : { isRefusal }) };
  }
  return {
    push: (delta) => send(stream.push(delta.text), delta),
    flush: () => send(stream.end()),
    sent: () => all ?? '',
  };
}
