import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultFamily } from '../../../dev/faults/fault-case.ts';
import { buildIfStale } from '../../../dev/faults/fault-environment.ts';
import { createFamilyRunner, listRuns } from '../../../dev/faults/run-family.ts';

/** One test for each row that `npm run faults` prints for the family. */
export function describeFamily(family: FaultFamily): void {
  const runner = createFamilyRunner(family);
  beforeAll(buildIfStale);
  afterAll(() => runner.stop());

  describe(family.name, () => {
    const test = family.lanes > 1 ? it.concurrent : it;
    test.each(listRuns(family))('$title', async (run) => {
      const row = await runner.run(run);

      expect(row.problems, `promised ${row.promised}; happened ${row.happened}`).toEqual([]);
    });
  });
}
