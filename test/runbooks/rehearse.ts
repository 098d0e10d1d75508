import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError, describeCliError } from '../../dev/cli-error.ts';
import { buildIfStale } from '../../dev/faults/fault-environment.ts';
import { formatMarkdown, formatTable } from '../../dev/table.ts';
import type { Tables } from '../infra/support/run-kql.ts';
import { fires, type Rehearsal } from './rehearsal.ts';
import { REHEARSALS } from './rehearsals.ts';
import { startStack, type Stack } from './stack.ts';

const PAGE = 'docs/runbooks/rehearsals.md';
/** A failing vault is read again after up to 72 s; every other alert fires within seconds. */
const LONGEST_MS = 120_000;
const POLL_MS = 250;
/** Metrics are exported every second. */
const QUIET_MS = 2_500;
const HEADINGS = [
  'runbook',
  'alerts',
  'fault',
  'fires after',
  'diagnosis',
  'mitigation',
  'over after',
];

interface Outcome {
  readonly rehearsal: Rehearsal;
  readonly firedMs: number;
  readonly found: string;
  readonly recoveredMs: number;
  readonly problem?: string;
}

process.exitCode = await main();

/** `npm run runbooks [-- NAME … --markdown]`: exits with 0 if every runbook ended its alert. */
async function main(): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { markdown: { type: 'boolean', default: false } },
    });
    const chosen = REHEARSALS.filter(
      ({ runbook }) => positionals.length === 0 || positionals.includes(runbook),
    );
    const unknown = positionals.filter(
      (name) => !REHEARSALS.some(({ runbook }) => runbook === name),
    );
    if (unknown.length > 0) {
      const names = REHEARSALS.map(({ runbook }) => runbook).join(', ');
      throw new CliError(`Cannot try ${unknown.join(', ')}: the runbooks are ${names}`);
    }
    await buildIfStale();
    const stack = await startStack();
    const outcomes: Outcome[] = [];
    try {
      for (const rehearsal of chosen) {
        showProgress(outcomes.length, chosen.length, rehearsal.runbook);
        outcomes.push(await rehearse(stack, rehearsal));
      }
    } finally {
      await stack.close();
    }
    if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
    const columns = HEADINGS.map((heading) => ({ heading }));
    process.stdout.write(`${formatTable(columns, outcomes.map(toRow))}\n`);
    if (values.markdown) await writeFile(PAGE, toMarkdown(outcomes));
    for (const { rehearsal, problem } of outcomes) {
      if (problem !== undefined) process.stderr.write(`${rehearsal.runbook}: ${problem}\n`);
    }
    return outcomes.length > 0 && outcomes.every(({ problem }) => problem === undefined) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${describeCliError(error)}\n`);
    return 1;
  }
}

async function rehearse(stack: Stack, rehearsal: Rehearsal): Promise<Outcome> {
  const outcome: { -readonly [Key in keyof Outcome]: Outcome[Key] } = {
    rehearsal,
    firedMs: 0,
    found: '',
    recoveredMs: 0,
  };
  try {
    const since = new Date();
    const startedAt = performance.now();
    await rehearsal.inject(stack);
    await until('the alerts fire', async () => {
      await rehearsal.traffic?.(stack);
      return areFiring(stack, { rehearsal, since }, 'all');
    });
    outcome.firedMs = performance.now() - startedAt;
    await until('the diagnosis leads to the cause', async () => {
      outcome.found = await rehearsal.diagnose(stack, await tablesOf(stack, { rehearsal, since }));
      return true;
    });
    const mitigatedAt = performance.now();
    await rehearsal.mitigate(stack);
    await until('the app serves again', async () => {
      await rehearsal.verify(stack);
      return true;
    });
    outcome.recoveredMs = performance.now() - mitigatedAt;
    const recovered = new Date();
    await rehearsal.verify(stack);
    await delay(QUIET_MS);
    if (await areFiring(stack, { rehearsal, since: recovered }, 'any')) {
      return { ...outcome, problem: 'an alert still fires after the mitigation' };
    }
    return outcome;
  } catch (error) {
    // The next rehearsal begins with an app that serves.
    await rehearsal.mitigate(stack);
    await stack.restart();
    return { ...outcome, problem: error instanceof Error ? error.message : String(error) };
  }
}

interface Watched {
  readonly rehearsal: Rehearsal;
  readonly since: Date;
}

async function areFiring(stack: Stack, { rehearsal, since }: Watched, which: 'all' | 'any') {
  if (rehearsal.probe !== undefined) return rehearsal.probe(stack);
  const tables = await tablesOf(stack, { rehearsal, since });
  const states = rehearsal.alerts.map((alert) => fires(alert, tables));
  return which === 'all' ? states.every(Boolean) : states.some(Boolean);
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + LONGEST_MS;
  let reason = '';
  for (;;) {
    try {
      if (await isTrue()) return;
    } catch (error) {
      reason = error instanceof Error ? `: ${error.message}` : '';
    }
    if (performance.now() > giveUpAt) throw new Error(`Waited in vain until ${what}${reason}`);
    await delay(POLL_MS);
  }
}

/** The rows of the app, and those that the platform would write beside them. */
async function tablesOf(stack: Stack, { rehearsal, since }: Watched): Promise<Tables> {
  return { ...stack.rows(since), ...(await rehearsal.platformRows?.(stack)) };
}

function toRow({ rehearsal, firedMs, found, recoveredMs, problem }: Outcome): string[] {
  const { runbook, alerts, fault, mitigation } = rehearsal;
  const end = problem === undefined ? seconds(recoveredMs) : 'FAILED';
  return [runbook, alerts.join(', '), fault, seconds(firedMs), found, mitigation, end];
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

function toMarkdown(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => {
    const [runbook = '', ...rest] = toRow(outcome);
    return [`[${runbook}](alerts/${runbook}.md)`, ...rest];
  });
  return `# Rehearsals

\`npm run runbooks\` starts the app on this machine with a storage emulator, a vault, Redis, a model and a receiver of telemetry. It injects the fault of each alert, runs the query of the alert over the rows that the app exported, follows the runbook, and checks that the app serves and the alert is quiet. \`npm run runbooks -- NAME\` tries one of them; \`--markdown\` writes this page. Last run: ${new Date().toISOString().slice(0, 10)}.

${formatMarkdown(HEADINGS, rows)}

*Fires after* is the time from the fault until the rule would fire; *over after* is the time from the mitigation until the app serves. On Azure add the time until rows are ingested (usually less than five minutes), the frequency of the rule (\`infra/modules/alerts.bicep\`), and for a step that deploys the time of \`azd provision\` or \`azd deploy\`: here such a step is a restart of the app.

Not tried here: [log-cap](alerts/log-cap.md) and [service-health](alerts/service-health.md), because only Azure writes their rows, and the panels and roles of Azure. [incident](incident.md) says how to test the receivers.
`;
}

function showProgress(done: number, total: number, runbook: string): void {
  if (!process.stderr.isTTY) return;
  const filled = Math.round((20 * done) / total);
  process.stderr.write(
    `\r\u001B[K[${'#'.repeat(filled)}${'.'.repeat(20 - filled)}] ${done}/${total} ${runbook}`,
  );
}
