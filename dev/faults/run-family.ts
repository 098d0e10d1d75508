import { bulkhead } from 'cockatiel';
import type { FaultCase, FaultFamily, Mode } from './fault-case.ts';
import { startFaultEnvironment, type FaultEnvironment } from './fault-environment.ts';
import { runCase, type Row } from './run-case.ts';

/** One case in one of its modes. */
export interface Run {
  readonly one: FaultCase;
  readonly mode: Mode;
  readonly title: string;
}

/** The environments of one family, started when the first case needs them. */
export interface FamilyRunner {
  run(run: Run): Promise<Row>;
  stop(): Promise<void>;
}

/** All runs of a family, in order. */
export function listRuns(family: FaultFamily): Run[] {
  return family.cases.flatMap((one) =>
    one.modes.map((mode) => ({ one, mode, title: titleOf(one, mode) })),
  );
}

function titleOf({ id, injected, endpoints }: FaultCase, mode: Mode): string {
  return `${id} ${injected}, ${mode}${endpoints === 2 ? ', two endpoints' : ''}`;
}

export function createFamilyRunner(family: FaultFamily): FamilyRunner {
  // However many runs start at once: those in flight share one retry budget.
  const lanes = bulkhead(family.lanes, Number.MAX_SAFE_INTEGER);
  const shared = new Map<1 | 2, Promise<FaultEnvironment>>();
  const started: Promise<FaultEnvironment>[] = [];

  function start(
    endpoints: 1 | 2,
    own: Readonly<Record<string, string>> = {},
  ): Promise<FaultEnvironment> {
    const environment = startFaultEnvironment({
      endpoints,
      hasStorage: family.hasStorage,
      settings: { ...family.settings, ...own },
    });
    started.push(environment);
    return environment;
  }

  function sharedEnvironment(endpoints: 1 | 2): Promise<FaultEnvironment> {
    const environment = shared.get(endpoints) ?? start(endpoints);
    shared.set(endpoints, environment);
    return environment;
  }

  async function runIsolated({ one, mode }: Run): Promise<Row> {
    if (one.own === undefined)
      return runCase(await sharedEnvironment(one.endpoints), { one, mode });
    const environment = await start(one.endpoints, one.own);
    try {
      return await runCase(environment, { one, mode });
    } finally {
      await environment.stop();
    }
  }

  return {
    run: (run) => lanes.execute(() => runIsolated(run)),
    async stop() {
      await Promise.allSettled(started.map(async (environment) => (await environment).stop()));
    },
  };
}

/** Runs a family with its lanes in parallel, and reports each row when it is complete. */
export async function runFamily(
  family: FaultFamily,
  report: (row: Row) => void,
): Promise<readonly Row[]> {
  const runner = createFamilyRunner(family);
  const rows: Row[] = [];
  try {
    await Promise.all(
      listRuns(family).map(async (run) => {
        const row = await runner.run(run);
        rows.push(row);
        report(row);
      }),
    );
  } finally {
    await runner.stop();
  }
  return rows;
}
