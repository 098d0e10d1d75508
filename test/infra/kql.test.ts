import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createKqlCheck, type CheckKql } from './support/kql.ts';

let check: CheckKql;
beforeAll(() => {
  check = createKqlCheck();
});

const FILES = globSync(['infra/queries/*.kql', 'infra/panels/*.kql']).toSorted();

describe('the queries', () => {
  it.each(FILES)('%s binds to the tables of the workspace', (path) => {
    expect(check(readFileSync(path, 'utf8'))).toEqual([]);
  });

  it('are many', () => {
    expect(FILES.length).toBeGreaterThan(20);
  });
});

describe('a planted mistake in a query', () => {
  it.each([
    ['a column that does not exist', 'AppRequests | where Duration > 1', "'Duration'"],
    ['a table that does not exist', 'AppRequest | count', "'AppRequest'"],
    ['a function that does not exist', 'AppRequests | summarize p99(DurationMs)', "'p99'"],
    ['a reserved word as a name', 'AppRequests | summarize last = count()', ''],
    ['an operator in the wrong place', 'AppRequests | | count', ''],
  ])('is found: %s', (_what, query, found) => {
    const problems = check(query);

    expect(problems).not.toEqual([]);
    expect(problems.join('\n')).toContain(found);
  });
});
