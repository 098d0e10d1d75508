export interface ConfigProblem {
  readonly setting: string;
  /** What would be accepted. Never the value that was found. */
  readonly wanted: string;
}

/** All problems of a configuration at once, by name. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const list = problems.map(({ setting, wanted }) => `${setting} must be ${wanted}`);
    super(`Cannot start with these settings: ${list.join('; ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
