import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SECTIONS } from '../../dev/doctor.ts';
import { createDeployment } from '../../dev/doctor/deployment.ts';
import { runDoctor } from '../../dev/doctor/report.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'a-key-of-the-functions';
const LOCKED = {
  enableAuth: true,
  keys: { master: 'the-master-key', host: { default: KEY } },
  settings: { AGENT__LIMITS__REQUESTS_PER_MINUTE: '1000' },
} as const;

/** Only the boxes that a running app shows. */
const LIVE = SECTIONS.map(({ title, boxes }) => ({
  title,
  boxes: boxes.filter(({ live }) => live !== undefined),
}));

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment(LOCKED);
});
afterAll(() => environment.stop());

async function statesOf(url: string, key: string | undefined = KEY) {
  const results = await runDoctor(LIVE, { deployment: createDeployment(new URL(url), key) });
  const numbersOf = (state: string): number[] =>
    results.filter((result) => result.state === state).map(({ number }) => number);
  return { failing: numbersOf('fail'), yours: numbersOf('yours'), count: results.length };
}

describe('npm run doctor -- --url', () => {
  it('finds every box true on a correct app that has no telemetry configured', async () => {
    const { failing, yours, count } = await statesOf(environment.url);

    expect(failing).toEqual([]);
    expect(yours).toEqual([89, 129]);
    expect(count).toBeGreaterThan(20);
  });

  it('finds the boxes of callers false while the app is open', async () => {
    const open = await startEnvironment({ settings: LOCKED.settings });
    try {
      const { failing } = await statesOf(open.url);

      expect(failing).toEqual([42]);
    } finally {
      await open.stop();
    }
  });

  it('finds the boxes of the model false while the model is dead', async () => {
    const orphan = await startEnvironment(LOCKED);
    try {
      await orphan.model.stop();

      const { failing } = await statesOf(orphan.url);

      expect(failing).toEqual(expect.arrayContaining([28, 127]));
      expect(failing).not.toContain(17);
    } finally {
      await orphan.stop();
    }
  });

  it('finds the boxes of telemetry false while its backend refuses', async () => {
    const mute = await startEnvironment({
      ...LOCKED,
      settings: {
        ...LOCKED.settings,
        APPLICATIONINSIGHTS_CONNECTION_STRING:
          'InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=http://127.0.0.1:9/',
      },
    });
    try {
      const { failing } = await statesOf(mute.url);

      expect(failing).toEqual([89, 129]);
    } finally {
      await mute.stop();
    }
  });
});
