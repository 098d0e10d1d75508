import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { listAgentKeys } from '../../../shared/config/agent-keys.ts';
import { ConfigError, type ConfigProblem } from '../../../shared/config/config-error.ts';
import { readConfig, type ConfigInputs } from '../../../shared/config/read-config.ts';

const KEY = { OPENAI_API_KEY: 'canary-key' };

function problemsOf(
  environment: Record<string, string>,
  inputs: ConfigInputs = {},
): readonly ConfigProblem[] {
  try {
    readConfig(environment, inputs);
    return [];
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems;
    throw thrown;
  }
}

function problemsOfToml(agentToml: string): readonly ConfigProblem[] {
  return problemsOf(KEY, { agentToml });
}

function numberKeys() {
  return listAgentKeys().flatMap(({ path, variable, schema }) => {
    const { minimum: min, maximum: max } = z.toJSONSchema(schema, { io: 'input' });
    return min === undefined || max === undefined
      ? []
      : [{ name: path.join('.'), variable, min, max }];
  });
}

describe('K6 an invalid configuration', () => {
  it('is reported once, with all seven by name and line, and no value', () => {
    const agentToml = [
      '[limits]',
      'max_requst_bytes = 1111',
      'answer_deadline_ms = -2222',
      'heartbeat_ms = nan',
      '[telemetry]',
      'log_level = "canary-level"',
    ].join('\n');
    const environment = {
      AZURE_OPENAI_ENDPOINT: 'canary endpoint',
      AZURE_OPENAI_DEPLOYMENT: 'd',
      AGENT__BATCH__CONCURRENCY: '33333333',
      AGENT__BATHC__CONCURRENCY: '4',
    };

    const thrown = catchError(() => readConfig(environment, { agentToml }));

    expect(thrown.problems.map(({ setting }) => setting).toSorted()).toEqual([
      'AGENT__BATCH__CONCURRENCY',
      'AGENT__BATHC__CONCURRENCY',
      'AZURE_OPENAI_ENDPOINT',
      'agent.toml line 2: limits.max_requst_bytes',
      'agent.toml line 3: limits.answer_deadline_ms',
      'agent.toml line 4: limits.heartbeat_ms',
      'agent.toml line 6: telemetry.log_level',
    ]);
    for (const { setting } of thrown.problems) expect(thrown.message).toContain(setting);
    expect(thrown.message).not.toMatch(/canary|1111|2222|3333/);
  });

  it.each([
    { what: 'a misspelt key', toml: '[limits]\nheartbaet_ms = 1', nearest: 'limits.heartbeat_ms' },
    {
      what: 'a key of another section',
      toml: '[limits]\nconcurrency = 1',
      nearest: 'batch.concurrency',
    },
    { what: 'a misspelt section', toml: '[limts]\nheartbeat_ms = 1', nearest: 'limits' },
  ])('names the nearest known key for $what', ({ toml, nearest }) => {
    const [problem] = problemsOfToml(toml);

    expect(problem?.expected).toBe(`a known key; the nearest is ${nearest}`);
  });

  it('names the nearest known variable', () => {
    const [problem] = problemsOf({ ...KEY, AGENT__LIMITS__HEARTBEAT: '1' });

    expect(problem?.expected).toBe('a known key; the nearest is AGENT__LIMITS__HEARTBEAT_MS');
  });

  it('finds the line of a key behind text of several lines and comments', () => {
    const toml = '[agent]\ninstructions = """\nheartbeat = 1\n"""\n\n# heartbeat\nheartbeat = 1\n';

    const [problem] = problemsOfToml(toml);

    expect(problem?.setting).toMatch(/^agent\.toml line [5-7]: agent\.heartbeat$/);
  });

  it.each(
    [
      [
        'nan',
        'inf',
        '-inf',
        '-1',
        '0',
        '49',
        '60_001',
        '1e99',
        '1.5',
        '"15000"',
        'true',
        '[1]',
        '{a = 1}',
        '1979-05-27',
      ],
    ].flat(),
  )('refuses a limit of %s', (value) => {
    const problems = problemsOfToml(`[limits]\nheartbeat_ms = ${value}\n`);

    expect(problems).toEqual([
      {
        setting: 'agent.toml line 2: limits.heartbeat_ms',
        expected: 'a whole number of milliseconds from 50 to 60000',
      },
    ]);
  });

  it.each([
    'NaN',
    'Infinity',
    '-1',
    '0x32',
    '1e3',
    '1_000',
    '15000ms',
    '99999999999999999999',
    'null',
  ])('refuses a variable of %s', (value) => {
    const problems = problemsOf({ ...KEY, AGENT__LIMITS__HEARTBEAT_MS: value });

    expect(problems.map(({ setting }) => setting)).toEqual(['AGENT__LIMITS__HEARTBEAT_MS']);
  });

  it.each(numberKeys())('refuses $name outside of its range', ({ variable, min, max }) => {
    const outcomes = [min - 1, min, max, max + 1].map(
      (value) => problemsOf({ ...KEY, [variable]: String(value) })[0]?.setting,
    );

    expect(outcomes[0]).toBe(variable);
    expect(outcomes[1]).not.toBe(variable);
    expect(outcomes[2]).not.toBe(variable);
    expect(outcomes[3]).toBe(variable);
  });

  it.each([
    '[__proto__]\npolluted = 1',
    '[limits]\n__proto__ = 1',
    '"__proto__".polluted = 1',
    '[constructor.prototype]\npolluted = 1',
    '[limits]\ntoString = 1',
  ])('refuses %j and changes no prototype', (toml) => {
    const problems = problemsOfToml(toml);

    expect(problems).toHaveLength(1);
    expect(problems[0]?.expected).toMatch(/^a known key/);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    { what: 'a key twice', toml: '[batch]\nconcurrency = 1\nconcurrency = 2', line: 3 },
    { what: 'text without an end', toml: '[agent]\nname = "canary', line: 2 },
    { what: 'no TOML at all', toml: '{"canary": 1}', line: 1 },
    { what: 'a number that no computer holds', toml: 'a = 99999999999999999999', line: 1 },
  ])('names the line of a file with $what, and quotes nothing', ({ toml, line }) => {
    const [problem, ...others] = problemsOfToml(toml);

    expect(problem?.setting).toBe(`agent.toml line ${line}`);
    expect(JSON.stringify(problem)).not.toContain('canary');
    expect(others).toEqual([]);
  });

  it('refuses a section that is a value', () => {
    expect(problemsOfToml('limits = 5')).toEqual([
      { setting: 'agent.toml line 1: limits', expected: 'a section, begun with [limits]' },
    ]);
  });

  it('refuses bounds that contradict each other', () => {
    const problems = problemsOfToml('[model]\nbreaker_failures = 20\nbackoff_max_ms = 1');

    expect(problems.map(({ setting }) => setting)).toEqual([
      'model.breaker_window_size',
      'model.backoff_max_ms',
    ]);
  });

  it('throws only its own error, whatever the file contains', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '[limits]',
        '[limits.x]',
        'a.b = {c = [1, "x"]}',
        'x = """',
        '"""',
        '[[batch]]',
      ),
    );

    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        problemsOfToml(lines.join('\n'));
      }),
      { numRuns: 300 },
    );
  });
});

function catchError(act: () => unknown): ConfigError {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
  }
  throw new Error('Expected a ConfigError');
}
