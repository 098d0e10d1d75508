import { expect, it } from 'vitest';
import { killRuns } from '../../dev/runs/kill-runs.ts';

it('background runs end whole while workers and their host are killed', async () => {
  const report = await killRuns({
    runs: 5,
    stepsPerRun: 6,
    stepMs: 500,
    workerKills: 3,
    hostKills: 1,
    killEveryMs: 1_500,
    timeoutMs: 90_000,
    endsLeftovers: true,
    print: () => undefined,
  });

  expect(report.wrong).toEqual([]);
  expect(report.different).toEqual([]);
  expect(report.paidAgain).toBeLessThanOrEqual(report.openAtKills);
}, 120_000);
