import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { expectedText, startStepModel, type StepModel } from '../../dev/runs/step-model.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const STEPS = 8;

let model: StepModel;
let environment: TestEnvironment;
beforeAll(async () => {
  model = await startStepModel({ steps: STEPS, stepMs: 1_300 });
  environment = await startEnvironment({
    settings: {
      OPENAI_BASE_URL: model.url,
      AGENT__TOOLS__ENABLED: 'calculator',
      AGENT__RUNS__SLICE_MS: '1000',
      AGENT__LIMITS__STREAM_DEADLINE_MS: '5000',
      AzureFunctionsJobHost__functionTimeout: '00:00:08',
    },
  });
});
afterAll(async () => {
  await environment.stop();
  await model.stop();
});

it('a run that is longer than the time limit of a function ends whole', async () => {
  const created = await fetch(`${environment.url}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: 'long please', background: true }),
  });
  const { id } = z.object({ id: z.string() }).parse(await created.json());
  const read = async () =>
    z
      .object({ status: z.string(), output: z.array(z.unknown()) })
      .parse(await (await fetch(`${environment.url}/v1/responses/${id}`)).json());

  await expect.poll(async () => (await read()).status, { timeout: 40_000 }).toBe('completed');

  expect((await read()).output).toMatchObject([{ content: [{ text: expectedText('long') }] }]);
  expect([...model.answered.values()]).toEqual(Array.from({ length: STEPS }, () => 1));
}, 60_000);
