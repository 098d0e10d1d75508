import { describe, expect, it } from 'vitest';
import type { AgentEvent, RunCheckpoints } from '../../../shared/agent/agent.ts';
import type { ModelResponse } from '../../../shared/model/model.ts';
import { createToolAgent, runContext, toolNamed } from '../../support/agent/scripted-tools.ts';
import { answerOf, callsOf, inputOf } from '../../support/scripted-model.ts';

const TEXT_RUN = [
  { ...callsOf(['echo', { word: 'a' }]), text: 'Wait.' },
  { ...callsOf(['echo', { word: 'b' }], ['unknown']), text: 'Still.' },
  answerOf('Done'),
];
const JSON_RUN = [callsOf(['echo']), answerOf('no JSON'), answerOf('{"a":1}')];

class Killed extends Error {}

/** Runs until the checkpoint with this number, and reads what a later process would find. */
async function runUntil(kill: number, responses: readonly ModelResponse[], body: object) {
  const saved: string[] = [];
  const events: AgentEvent[] = [];
  const { agent, model } = createToolAgent({ responses, tools: [toolNamed('echo')] });
  const checkpoints = (last: unknown): RunCheckpoints => ({
    last,
    async save(checkpoint) {
      saved.push(JSON.stringify(checkpoint));
      if (saved.length === kill) throw new Killed();
    },
  });
  const input = { ...inputOf('Hi'), ...body };
  let last: unknown;
  for (;;) {
    try {
      const run = agent.stream(input, runContext({ checkpoints: checkpoints(last) }));
      for await (const event of run) events.push(event);
      return { events, calls: model.calls, saves: saved.length };
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      last = JSON.parse(saved.at(-1) ?? 'null');
    }
  }
}

const CASES = [
  { name: 'text', responses: TEXT_RUN, body: {}, kills: [1, 2, 3, 4, 5] },
  {
    name: 'corrected JSON',
    responses: JSON_RUN,
    body: { responseFormat: { type: 'json_object' } },
    kills: [1, 2, 3, 4, 5],
  },
];

describe.each(CASES)('a run of $name with checkpoints', ({ responses, body, kills }) => {
  it.each(kills)('goes on at checkpoint %i without paying a step again', async (kill) => {
    const whole = await runUntil(0, responses, body);

    const resumed = await runUntil(kill, responses, body);

    expect(whole.saves).toBe(kills.length);
    expect(resumed.calls.map(({ request }) => request)).toEqual(
      whole.calls.map(({ request }) => request),
    );
    expect(withoutTimes(resumed.events)).toEqual(withoutTimes(whole.events));
  });
});

/** Tools that ran may run again after a response, so their events may repeat. */
function withoutTimes(events: readonly AgentEvent[]): unknown {
  const others = events.filter(({ type }) => type !== 'tool-call' && type !== 'tool-result');
  return JSON.parse(JSON.stringify(others).replaceAll(/"durationMs":\d+/g, '"durationMs":0'));
}
