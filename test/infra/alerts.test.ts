import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  alertsOf,
  checkRunbooks,
  signalsOf,
  unknownMessages,
  type Alert,
} from './support/check-alerts.ts';
import { METRICS } from '../../shared/telemetry/metrics.ts';
import { REHEARSALS } from '../runbooks/rehearsals.ts';
import { readInfra, type Infra } from './support/read-infra.ts';
import { rowsOf } from './support/read-names.ts';

const ALERTS = 'infra/modules/alerts.bicep';
/** What the telemetry of the product emits. */
const EMITTED = new Set<string>(Object.values(METRICS).map(({ name }) => name));
/** The documented thresholds of each log alert, as its query states them. */
const THRESHOLDS: Readonly<Record<string, string>> = {
  'error-rate-critical': 'failed / total > 5',
  'error-rate-warning': 'failed / total > 1',
  'latency-p99-critical': 'p99 > 10000',
  'latency-p99-warning': 'p99 > 5000',
  'memory-critical': 'used > 0.95',
  'resource-exhaustion': 'used > 0.90',
  'resource-pressure': 'used > 0.70',
  'slo-fast-burn': '14.4 * budget',
  'batch-stalled': 'waited > 900',
  'runs-stalled': 'waited > 300',
};
/** Windows and frequencies that log alerts accept. */
const SPANS = new Set(['PT5M', 'PT10M', 'PT15M', 'PT30M', 'PT1H', 'PT6H', 'P1D']);
/** The alerts beside those with a threshold in their query. */
const OTHERS = [
  'service-down',
  'service-health',
  'slo-slow-burn',
  'batch-poisoned',
  'runs-poisoned',
  'circuit-open',
  'model-throttled',
  'model-needs-operator',
  'secrets-stale',
  'redis-away',
  'log-cap-reached',
  'token-budget',
];

let infra: Infra;
let alerts: readonly Alert[];
beforeAll(async () => {
  infra = await readInfra();
  alerts = alertsOf(infra.modules);
});

function pages(): string[] {
  return globSync('docs/runbooks/alerts/*.md');
}

function readQuery(name: string): string {
  return readFileSync(`infra/queries/${name}.kql`, 'utf8');
}

describe('the alerts', () => {
  it('are the critical and warning ones of a production checklist, and those of an agent', () => {
    const names = alerts.map(({ name }) => name);

    expect(names.toSorted()).toEqual([...Object.keys(THRESHOLDS), ...OTHERS].toSorted());
    expect(new Set(names).size).toBe(names.length);
  });

  it('have a runbook each, and each runbook has its alert', () => {
    expect(checkRunbooks(alerts, pages())).toEqual([]);
  });

  it('use every query file, each by an alert of its own name', () => {
    const used = alerts.flatMap(({ name, query }) => (query === undefined ? [] : [[name, query]]));

    expect(used.filter(([name, query]) => name !== query)).toEqual([]);
    expect(globSync('infra/queries/*.kql')).toHaveLength(used.length);
  });

  it.each(Object.entries(THRESHOLDS))('%s fires at %s', (name, threshold) => {
    expect(readQuery(name)).toContain(threshold);
  });

  it('page for the highest severities only, with windows that the platform accepts', () => {
    const file = infra.planted(ALERTS, { from: '', to: '' });
    const rows = rowsOf(file, 'rules');

    const wrong = rows.filter(
      ({ window = '', every = '' }) => !SPANS.has(window) || !SPANS.has(every),
    );

    expect(wrong).toEqual([]);
    expect(rows.filter(({ severity }) => severity === '0').map(({ name }) => name)).toEqual([
      'slo-fast-burn',
    ]);
  });

  it('need a minimum of requests before they compare a share', () => {
    for (const name of ['error-rate-critical', 'error-rate-warning', 'model-throttled']) {
      expect(readQuery(name)).toMatch(/total >= \d+/);
    }
    expect(readQuery('slo-fast-burn')).toMatch(/inHour >= \d+ and inFive >= \d+/);
  });

  it('exclude streams and batch jobs from latency', () => {
    for (const name of ['latency-p99-critical', 'latency-p99-warning']) {
      expect(readQuery(name)).toContain('!has "stream"');
      expect(readQuery(name)).toContain('Properties["agent.stream"]) !~ "true"');
    }
  });
});

describe('what the queries search for', () => {
  const queries = globSync(['infra/queries/*.kql', 'infra/panels/*.kql']).map((path) => ({
    path,
    signals: signalsOf(readFileSync(path, 'utf8')),
  }));

  it('is a log line that the product writes', () => {
    const unknown = queries.flatMap(({ signals }) => unknownMessages(signals));

    expect(unknown).toEqual([]);
    expect(queries.flatMap(({ signals }) => signals.messages).length).toBeGreaterThan(0);
  });

  it('is an error code that the product has', () => {
    const known = readFileSync('shared/errors.ts', 'utf8');
    const asked = queries.flatMap(({ signals }) => signals.codes);

    expect(asked).toContain('upstream_rate_limited');
    expect(asked.filter((code) => !known.includes(code))).toEqual([]);
  });

  it('is a metric that the product emits', () => {
    const asked = queries.flatMap(({ signals }) => signals.metrics);

    expect(asked.filter((name) => !EMITTED.has(name))).toEqual([]);
    expect(new Set(asked).size).toBeGreaterThan(7);
  });
});

describe('the workbook', () => {
  it('shows every panel, each from its own file', () => {
    const file = infra.planted('infra/modules/workbook.bicep', { from: '', to: '' });
    const rows = rowsOf(file, 'panels');

    for (const { name, query = '' } of rows) expect(query).toContain(`panels/${name}.kql`);
    expect(globSync('infra/panels/*.kql')).toHaveLength(rows.length);
  });
});

describe('a planted mistake in an alert', () => {
  it('is found: a missing runbook, and one without an alert', () => {
    const [first = '', ...rest] = pages();

    expect(checkRunbooks(alerts, rest)).toHaveLength(1);
    expect(checkRunbooks(alerts, [first, ...rest, 'docs/runbooks/alerts/of-nothing.md'])).toEqual([
      'no alert for of-nothing',
    ]);
  });

  it('is found: an alert whose runbook is spelt differently', () => {
    const file = infra.planted(ALERTS, {
      from: "runbook: 'circuit-open'",
      to: "runbook: 'circuit'",
    });

    expect(checkRunbooks(alertsOf([file]), pages())).toContain('no runbook circuit');
  });

  it('is found: a message that the product does not log', () => {
    const signals = signalsOf('AppTraces | where Message has "model circuit was opened"');

    expect(unknownMessages(signals)).toEqual(['model circuit was opened']);
  });

  it('is found: a metric that the product does not emit', () => {
    const { metrics } = signalsOf('AppMetrics | where Name == "agent.batch.poison"');

    expect(metrics.filter((name) => !EMITTED.has(name))).toEqual(['agent.batch.poison']);
  });
});

describe('the rehearsals', () => {
  /** Only Azure writes the rows of these. */
  const OF_AZURE = ['log-cap-reached', 'service-health'];
  const page = readFileSync('docs/runbooks/rehearsals.md', 'utf8');

  it('try every alert that this machine can fire', () => {
    const tried = REHEARSALS.flatMap(({ alerts }) => alerts);

    const wanted = [...Object.keys(THRESHOLDS), ...OTHERS];

    expect([...tried, ...OF_AZURE].toSorted()).toEqual([...new Set(wanted)].toSorted());
  });

  it('have their times on the page, which names the runbooks without one', () => {
    const names = globSync('docs/runbooks/alerts/*.md').map((path) => basename(path));

    expect(names.filter((name) => !page.includes(`(alerts/${name})`))).toEqual([]);
    expect(page).not.toContain('FAILED');
    for (const { runbook, fault } of REHEARSALS) {
      expect(page).toMatch(new RegExp(`^\\| \\[${runbook}\\].* ${fault} \\| [\\d.]+ s \\|`, 'm'));
    }
  });
});
