import { Agent, handoff, OpenAIProvider, Runner, tool } from '@openai/agents';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

/** The Agents SDK in its chat completions mode. */
export function testOpenAiAgents(service: () => ClientEnvironment): void {
  const cities: string[] = [];
  const weather = tool({
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: z.object({ city: z.string() }),
    execute({ city }) {
      cities.push(city);
      return `sunny in ${city}`;
    },
  });

  function createRunner(apiKey = service().apiKey): Runner {
    const { baseURL, headers: defaultHeaders } = service();
    const openAIClient = new OpenAI({ baseURL, apiKey, defaultHeaders, maxRetries: 0 });
    const modelProvider = new OpenAIProvider({ openAIClient, useResponses: false });
    return new Runner({ modelProvider, tracingDisabled: true });
  }

  describe('@openai/agents', () => {
    it('answer: has a text and its usage', async () => {
      const agent = new Agent({ name: 'Assistant', instructions: 'Be brief', model: 'any' });

      const result = await createRunner().run(agent, 'Hello there');

      expect(result.finalOutput).toContain('Hello there');
      expect(result.rawResponses[0]?.usage.totalTokens).toBeGreaterThan(0);
    });

    it('stream: has the text in pieces', async () => {
      const agent = new Agent({ name: 'Assistant', model: 'any' });

      const result = await createRunner().run(agent, 'Hello there', { stream: true });
      const pieces = await Array.fromAsync(result.toTextStream());
      await result.completed;

      expect(pieces.length).toBeGreaterThan(3);
      expect(pieces.join('')).toContain('Hello there');
    });

    it.each([false, true])('tools, second turn: run and continue, streamed: %s', async (stream) => {
      const agent = new Agent({ name: 'Assistant', model: 'any', tools: [weather] });
      const question = 'get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}';
      cities.length = 0;

      const first = await run(createRunner(), { agent, input: question, stream });
      const second = await run(createRunner(), {
        agent,
        input: [...first.history, { role: 'user', content: 'And now?' }],
        stream,
      });

      expect(cities).toEqual(['Bonn', 'Ulm']);
      expect(first.finalOutput).toContain('sunny in Bonn | sunny in Ulm');
      expect(second.finalOutput).toContain('And now?');
    });

    it.each([false, true])(
      'handoff: gives the run to another agent, streamed: %s',
      async (stream) => {
        const billing = new Agent({ name: 'Billing', model: 'any', tools: [weather] });
        const triage = new Agent({ name: 'Triage', model: 'any', handoffs: [handoff(billing)] });

        const result = await run(createRunner(), {
          agent: triage,
          input: 'transfer_to_Billing please',
          stream,
        });

        expect(result.lastAgent?.name).toBe('Billing');
        expect(result.finalOutput).toContain('{"assistant":"Billing"}');
      },
    );

    it('structured output: is parsed', async () => {
      const outputType = z.object({ name: z.string(), attendees: z.array(z.string()) });
      const agent = new Agent({ name: 'Planner', model: 'any', outputType });

      const result = await createRunner().run(agent, 'dev/wrong-json An event');

      expect(outputType.safeParse(result.finalOutput).success).toBe(true);
    });

    testTypedErrors({
      service,
      open(apiKey) {
        const agent = new Agent({ name: 'Assistant', model: 'any' });
        const options = { agent, stream: false };
        return {
          ask: (input) => run(createRunner(apiKey), { ...options, input }),
          stream: (input) => run(createRunner(apiKey), { ...options, input, stream: true }),
        };
      },
    });

    it('errors: name the field that the model does not support', async () => {
      const modelSettings = { reasoning: { effort: 'low' as const } };
      const agent = new Agent({ name: 'Assistant', model: 'any', modelSettings });

      const running = createRunner().run(agent, 'dev/without-reasoning_effort Hi');

      await expect(running).rejects.toMatchObject({ status: 400, param: 'reasoning_effort' });
    });
  });
}

interface RunOptions {
  readonly agent: Agent;
  readonly input: Parameters<Runner['run']>[1];
  readonly stream: boolean;
}

async function run(runner: Runner, { agent, input, stream }: RunOptions) {
  if (!stream) return runner.run(agent, input);
  const result = await runner.run(agent, input, { stream: true });
  await result.completed;
  return result;
}
