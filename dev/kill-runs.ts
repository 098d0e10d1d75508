import { parseArgs } from 'node:util';
import { describeCliError } from './cli-error.ts';
import { buildIfStale } from './faults/fault-environment.ts';
import { killRuns } from './runs/kill-runs.ts';

process.exitCode = await main();

/** `npm run kill-runs`: background runs while workers and hosts are killed; 0 if no run suffered. */
async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: 'string', default: '200' },
        steps: { type: 'string', default: '10' },
        'step-ms': { type: 'string', default: '2000' },
        workers: { type: 'string', default: '20' },
        hosts: { type: 'string', default: '5' },
        'every-ms': { type: 'string', default: '8000' },
        'timeout-ms': { type: 'string', default: '1500000' },
      },
    });
    await buildIfStale();
    const report = await killRuns({
      runs: Number(values.runs),
      stepsPerRun: Number(values.steps),
      stepMs: Number(values['step-ms']),
      workerKills: Number(values.workers),
      hostKills: Number(values.hosts),
      killEveryMs: Number(values['every-ms']),
      timeoutMs: Number(values['timeout-ms']),
      print: (line) => console.log(line),
    });
    console.log(JSON.stringify(report));
    const { wrong, different, paidAgain, openAtKills } = report;
    return wrong.length + different.length === 0 && paidAgain <= openAtKills ? 0 : 1;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}
