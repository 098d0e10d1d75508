// After a red smoke test: finds the run whose package served before, and prints run=ID for the next
// step. A successful rollback counts as the run that it went back to.
import { appendFile } from 'node:fs/promises';
import { getJson } from './support/github.js';
import { log, required, runHook } from './support/terminal.js';

const ROLLBACK_TITLE = /^Roll back to run (\d+)$/;

await runHook('last-good-run', async () => {
  const repository = required('GITHUB_REPOSITORY');
  const current = required('GITHUB_RUN_ID');
  const lists = ['azure-dev.yml', 'rollback.yml'].map((workflow) =>
    successfulRuns(repository, workflow),
  );
  const runs = (await Promise.all(lists)).flat().filter(({ id }) => String(id) !== current);
  runs.sort((a, b) => Date.parse(b.updated_at) - Date.parse(a.updated_at));
  const [latest] = runs;
  if (latest === undefined) {
    log('no earlier package: this is the first deployment');
    return;
  }
  const run = ROLLBACK_TITLE.exec(latest.display_title)?.[1] ?? String(latest.id);
  log(`the last good package is of run ${run}`);
  await appendFile(required('GITHUB_OUTPUT'), `run=${run}\n`);
});

async function successfulRuns(repository, workflow) {
  const { workflow_runs: runs } = await getJson(
    `/repos/${repository}/actions/workflows/${workflow}/runs?branch=main&status=success&per_page=20`,
  );
  // Runs of forks have the branch of their own repository.
  return runs.filter(({ head_repository: head }) => head?.full_name === repository);
}
