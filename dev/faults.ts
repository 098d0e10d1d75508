import { parseArgs } from 'node:util';
import { listFamilies } from './faults/families.ts';
import type { FaultFamily } from './faults/fault-case.ts';
import { buildIfStale } from './faults/fault-environment.ts';
import { runFamily } from './faults/run-family.ts';
import type { Row } from './faults/run-case.ts';
import { tableHead, tableRow } from './faults/table.ts';
import { describeCliError } from './cli-error.ts';

process.exitCode = await main();

/** `npm run faults [-- [--full] U7 U10]`: exits with 0 if every promise held, otherwise 1. */
async function main(): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { full: { type: 'boolean', default: false } },
    });
    const ids = new Set(positionals.map((id) => id.toUpperCase()));
    const rows = await runFaults(listFamilies({ isFull: values.full }), ids);
    const failed = rows.filter(({ problems }) => problems.length > 0);
    console.log(
      `\n${rows.length} rows, ${rows.length - failed.length} passed, ${failed.length} failed`,
    );
    return failed.length > 0 || rows.length === 0 ? 1 : 0;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

async function runFaults(
  families: readonly FaultFamily[],
  ids: ReadonlySet<string>,
): Promise<readonly Row[]> {
  await buildIfStale();
  console.log(tableHead());
  const rows: Row[] = [];
  for (const family of families) {
    const cases = family.cases.filter(({ id }) => ids.size === 0 || ids.has(id));
    rows.push(...(await runFamily({ ...family, cases }, (row) => console.log(tableRow(row)))));
  }
  return rows;
}
