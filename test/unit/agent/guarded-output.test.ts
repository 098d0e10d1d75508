import { describe, expect, it } from 'vitest';
import type { Agent, AgentEvent } from '../../../shared/agent/agent.ts';
import type { ModelResponse } from '../../../shared/model/model.ts';
import { collectEvents, createToolAgent, runContext } from '../../support/agent/scripted-tools.ts';
import {
  answersOf,
  guarded,
  guardedAnswer,
  noteDecisions,
  textOf,
  type GuardrailScript,
} from '../../support/guarded.ts';
import { answerOf, callsOf, inputOf, never } from '../../support/scripted-model.ts';

const CARD = '4111 1111 1111 1111';

describe('the output of a guarded agent', () => {
  const numbers = 'Order 4711-0815 of version 10.2.14';

  it('loses a card number that is split over three chunks, and keeps other numbers', async () => {
    const texts = [`${numbers}, card 4111 1`, '111 11', '11 1111', ' was used.'];

    const text = await answersOf({ piiDetection: { output: 'redact' } }, { texts });

    expect(text).toBe(`${numbers}, card [CREDIT_CARD] was used.`);
  });

  it.each([
    ['pii_detection', { piiDetection: { output: 'block' } }, `It is ${CARD}, yes`],
    ['secrets', { output: { secrets: 'block' } }, 'It is sk-proj-abcdefgh1234, yes'],
    ['images', { output: { images: 'block' } }, 'It is ![a](https://evil.example/a), yes'],
    ['canary', { output: { canary: 'block' } }, 'It is B.l.u.e.b.i.r.d, yes'],
  ] as const)('ends where %s blocks it, before what it found', async (name, script, text) => {
    const options = { canaryTexts: ['bluebird'], texts: text.split(/(?<=..)/) };
    const { decisions, context } = noteDecisions();

    const whole = guardedAnswer(script, options).agent.run(inputOf('Hi'), context);
    await expect(whole).rejects.toThrow(`The guardrail ${name} blocked the answer`);
    const events: AgentEvent[] = [];
    const streaming = (async () => {
      for await (const event of guardedAnswer(script, options).agent.stream(
        inputOf('Hi'),
        context,
      )) {
        events.push(event);
      }
    })();

    await expect(streaming).rejects.toMatchObject({ code: 'guardrail_blocked' });
    expect('It is '.startsWith(textOf(events))).toBe(true);
    expect(decisions).toContain(`${name} output blocked`);
  });

  it('keeps the pieces of a delta only while it does not change the delta', async () => {
    const agent: Agent = {
      run: never,
      async *stream() {
        yield { type: 'text-delta', text: 'Paid by ', pieces: ['Paid', ' by '] };
        yield { type: 'text-delta', text: `${CARD}. `, pieces: [CARD, '. '] };
        yield { type: 'done', result: { ...answerOf('Paid'), cached: false, toolCalls: [] } };
      },
    };
    const { agent: checked } = guarded(agent, { piiDetection: { output: 'redact' } });

    const events = await collectEvents(checked.stream(inputOf('Hi'), runContext()));

    const deltas = events.filter((event) => event.type === 'text-delta');
    expect(deltas[0]).toHaveProperty('pieces', ['Paid', ' by ']);
    expect(deltas.slice(1).every((delta) => delta.pieces === undefined)).toBe(true);
    expect(textOf(events)).toBe('Paid by [CREDIT_CARD]. ');
  });

  it('passes at once and unchanged what it observes', async () => {
    const script: GuardrailScript = {
      piiDetection: { output: 'observe' },
      output: { canary: 'observe', secrets: 'observe', links: 'observe', images: 'observe' },
    };
    const texts = [`It is ${CARD} `, 'bluebird sk-proj-abcdefgh1234 ', 'https://evil.example'];
    const { agent } = guardedAnswer(script, { canaryTexts: ['bluebird'], texts });
    const { decisions, context } = noteDecisions();

    const events = await collectEvents(agent.stream(inputOf('Hi'), context));

    const deltas = events.flatMap((event) => (event.type === 'text-delta' ? [event.text] : []));
    expect(deltas).toEqual(texts);
    expect(decisions.filter((decision) => decision.endsWith('observed'))).toHaveLength(4);
  });

  it('keeps the shape of JSON, of which it changes texts and numbers', async () => {
    const texts = ['{"mail":"jane', '@shop.example","card":41111', '11111111111,"n":7}'];
    const script = { piiDetection: { output: 'redact' } } as const;

    const text = await answersOf(script, { texts, output: { type: 'json_object' } });

    expect(text).toBe('{"mail":"[EMAIL]","card":"[CREDIT_CARD]","n":7}');
  });

  it('sees through the escapes of JSON', async () => {
    const texts = [String.raw`{"mail":"jane\u0040shop.example"}`];
    const script = { piiDetection: { output: 'redact' } } as const;

    const text = await answersOf(script, { texts, output: { type: 'json_object' } });

    expect(text).toBe('{"mail":"[EMAIL]"}');
  });

  it('blocks an answer that no longer has the requested format', async () => {
    const output = {
      type: 'json_schema',
      name: 'answer',
      schema: { type: 'object', properties: { card: { type: 'integer' } } },
    } as const;
    const options = { texts: ['{"card":4111111111111111}'], output };
    const script = { piiDetection: { output: 'redact' } } as const;

    const whole = guardedAnswer(script, options).agent.run(inputOf('Hi'), runContext());
    await expect(whole).rejects.toMatchObject({ code: 'guardrail_blocked' });
    const stream = collectEvents(
      guardedAnswer(script, options).agent.stream(inputOf('Hi'), runContext()),
    );

    await expect(stream).rejects.toThrow('no longer has the requested format');
  });

  it('checks the calls that the client is to run', async () => {
    const calls: ModelResponse = callsOf(['mail', { to: 'jane@shop.example' }]);
    const { agent } = createToolAgent({ responses: [calls] });
    const protectedAgent = guarded(agent, { piiDetection: { output: 'redact' } }).agent;
    const tools = [{ name: 'mail', parameters: { type: 'object' }, nameParam: 'tools.0' }];

    const result = await protectedAgent.run({ ...inputOf('Mail'), tools }, runContext());

    expect(result.clientToolCalls?.[0]?.arguments).toBe('{"to":"[EMAIL]"}');
  });
});
