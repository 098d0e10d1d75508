import { parseArgs } from 'node:util';
import { createProgress } from './batch/progress.ts';
import { describeCliError } from './cli-error.ts';
import { buildIfStale, startFaultEnvironment } from './faults/fault-environment.ts';
import { UNLIMITED } from './faults/settings.ts';
import { guessIds, type RouteReport } from './guess-ids/guess-ids.ts';

process.exitCode = await main();

/**
 * `npm run guess-ids [-- --count 100000]`: one caller asks for what belongs to another by guessed ids
 * and by the real ones. It exits with 0 if each answer is that of an absent id.
 */
async function main(): Promise<number> {
  try {
    const options = { count: { type: 'string', default: '100000' } } as const;
    const count = Number(parseArgs({ options }).values.count);
    await buildIfStale();
    const environment = await startFaultEnvironment({
      settings: UNLIMITED,
      endpoints: 1,
      hasStorage: true,
    });
    const progress = createProgress(process.stderr);
    const startedAt = performance.now();
    try {
      const reports = await guessIds(environment.url, {
        count,
        onProgress(done, hits) {
          const elapsedMs = performance.now() - startedAt;
          const perSecond = done / (elapsedMs / 1_000);
          progress.show({
            done,
            failed: hits,
            total: count,
            elapsedMs,
            perSecond,
            note: undefined,
          });
        },
      });
      progress.finish();
      for (const report of reports) console.log(describe(report));
      const hits = reports.reduce((sum, one) => sum + one.hits, 0);
      console.log(`${count} guesses, ${hits} hits`);
      return hits === 0 && reports.every(({ bodies }) => bodies === 1) ? 0 : 1;
    } finally {
      await environment.stop();
    }
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

function describe({ route, guesses, hits, bodies, foreignMs, absentMs }: RouteReport): string {
  const times = `foreign ${foreignMs.toFixed(1)} ms, absent ${absentMs.toFixed(1)} ms`;
  return `${route.padEnd(42)} ${guesses} guesses, ${hits} hits, ${bodies} kind of answer, median ${times}`;
}
