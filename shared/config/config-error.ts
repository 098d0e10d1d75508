export interface ConfigProblem {
  readonly setting: string;
  /** The accepted values. Never the current value. */
  readonly expected: string;
}

/** All problems of a configuration, by setting. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const list = problems.map(({ setting, expected }) => `${setting} must be ${expected}`);
    super(`Cannot start with these settings: ${list.join('; ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
