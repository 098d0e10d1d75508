// Before a rollback downloads a package: the named run must have built it from this repository's
// main branch. Pull requests from forks run in this repository too and leave packages of the same
// name, which no reviewer has accepted.
import { getJson } from './support/github.js';
import { required, runHook, log } from './support/terminal.js';

const BRANCH = 'main';
const WORKFLOW = '.github/workflows/azure-dev.yml';

await runHook('check-rollback', async () => {
  const id = required('ROLLBACK_RUN');
  if (!/^[1-9]\d{0,18}$/.test(id)) throw new Error(`ROLLBACK_RUN must be the id of a run: ${id}`);
  const repository = required('GITHUB_REPOSITORY');
  const run = await getJson(`/repos/${repository}/actions/runs/${id}`);
  const problems = runProblems(run, repository);
  // The run itself is judged first: a commit of another repository cannot be compared.
  if (problems.length === 0) {
    problems.push(...(await commitProblems(run.head_sha, repository)));
  }
  if (problems.length > 0) {
    throw new Error(`run ${id} cannot be rolled back to:\n- ${problems.join('\n- ')}`);
  }
  log(`rollback: run ${id} built ${run.head_sha} of ${BRANCH}`);
});

function runProblems(run, repository) {
  const checks = [
    ['its repository', run.head_repository?.full_name, [repository]],
    ['its branch', run.head_branch, [BRANCH]],
    // The path ends with the ref of the workflow file where GitHub adds one.
    ['its workflow', run.path?.split('@')[0], [WORKFLOW]],
    ['its event', run.event, ['push', 'workflow_dispatch']],
    ['its conclusion', run.conclusion, ['success']],
  ];
  return checks
    .filter(([, value, allowed]) => !allowed.includes(value))
    .map(([what, value, allowed]) => `${what} is ${value}, not ${allowed.join(' or ')}`);
}

/** A tag may be named like the branch, so the commit must be on the branch as well. */
async function commitProblems(sha, repository) {
  const { status } = await getJson(`/repos/${repository}/compare/${BRANCH}...${sha}`);
  return ['identical', 'behind'].includes(status)
    ? []
    : [`its commit ${sha} is not on ${BRANCH}: ${status}`];
}
