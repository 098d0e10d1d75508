import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../shared/agent/agent.ts';
import type { StepJournal } from '../../../shared/agent/step-journal.ts';
import type { ModelResponse } from '../../../shared/model/model.ts';
import { createMemoryJournal } from '../../support/agent/memory-journal.ts';
import {
  collectEvents,
  createToolAgent,
  runContext,
  toolNamed,
  toolResults,
} from '../../support/agent/scripted-tools.ts';
import { guarded } from '../../support/guarded.ts';
import { answerOf, callsOf, inputOf } from '../../support/scripted-model.ts';

const TEXT_RUN = [
  { ...callsOf(['echo', { word: 'a' }]), text: 'Wait.' },
  { ...callsOf(['echo', { word: 'b' }], ['unknown']), text: 'Still.' },
  answerOf('Done'),
];
const JSON_RUN = [callsOf(['echo']), answerOf('no JSON'), answerOf('{"a":1}')];

class Killed extends Error {}

/** The journal of a process that ends after this write. */
function killedAt(write: number, journal: StepJournal): StepJournal {
  let writes = 0;
  function count(): void {
    writes += 1;
    if (writes === write) throw new Killed();
  }
  return {
    steps: journal.steps,
    addStep: (step, recorded) => journal.addStep(step, recorded).then(count),
    addOutcome: (place, outcome) => journal.addOutcome(place, outcome).then(count),
  };
}

/** Runs in one process, or in a second one after the first ended at this write. */
async function runWithKill(kill: number, responses: readonly ModelResponse[], body: object) {
  const { agent, model } = createToolAgent({ responses, tools: [toolNamed('echo')] });
  const input = { ...inputOf('Hi'), ...body };
  const memory = createMemoryJournal();
  const first = killedAt(kill, memory.attempt());
  const run = (journal: StepJournal): Promise<AgentEvent[]> =>
    collectEvents(agent.stream(input, runContext({ journal })));
  const events = await run(first).catch((error: unknown) => {
    if (!(error instanceof Killed)) throw error;
    return run(memory.attempt());
  });
  return { events, requests: model.calls.map(({ request }) => request) };
}

const CASES = [
  { name: 'text', responses: TEXT_RUN, body: {}, kills: [1, 2, 3, 4, 5, 6] },
  {
    name: 'corrected JSON',
    responses: JSON_RUN,
    body: { responseFormat: { type: 'json_object' } },
    kills: [1, 2, 3, 4],
  },
];

describe.each(CASES)('a streamed run of $name', ({ responses, body, kills }) => {
  it.each(kills)('has the same calls and events if its process ends at write %i', async (kill) => {
    const whole = await runWithKill(0, responses, body);

    const resumed = await runWithKill(kill, responses, body);

    expect(resumed.requests).toEqual(whole.requests);
    expect(withoutTimes(resumed.events)).toEqual(withoutTimes(whole.events));
  });
});

/** A step that is read from the journal has its text in one piece. Results come in any order. */
function withoutTimes(events: readonly AgentEvent[]): unknown {
  const lines = events.map((event) =>
    JSON.stringify(event).replaceAll(/"durationMs":\d+/g, '"durationMs":0'),
  );
  return lines.toSorted();
}

describe('a run with redacted tool results that another process resumes', () => {
  it('keeps its placeholders, gives their values to tools, and uses no number twice', async () => {
    const received: string[] = [];
    const book = [
      toolNamed('find', {
        run: (word) => (word === 'Ada' ? 'ada@example.com' : 'bob@example.com'),
      }),
      toolNamed('send', { run: (word) => `${received.push(word)}` }),
    ];
    const memory = createMemoryJournal();
    const script = {
      piiDetection: { toolResults: 'redact', restoreInTools: ['send'] },
    } as const;
    const start = (responses: readonly ModelResponse[], journal: StepJournal) => {
      const { agent, model } = createToolAgent({ responses, tools: book });
      const { agent: safe } = guarded(agent, script);
      return { model, result: safe.run(inputOf('Hi'), runContext({ journal })) };
    };
    const first = start([callsOf(['find', { word: 'Ada' }])], killedAt(2, memory.attempt()));
    await expect(first.result).rejects.toThrow(Killed);

    const second = start(
      [
        callsOf(['find', { word: 'Bob' }]),
        callsOf(['send', { word: '[EMAIL_1]' }]),
        callsOf(['send', { word: '[EMAIL_2]' }]),
        answerOf('Sent'),
      ],
      memory.attempt(),
    );
    await second.result;

    expect(received).toEqual(['ada@example.com', 'bob@example.com']);
    expect(toolResults(second.model.calls.at(-1)?.request.messages).slice(0, 2)).toEqual([
      '[EMAIL_1]',
      '[EMAIL_2]',
    ]);
  });
});
