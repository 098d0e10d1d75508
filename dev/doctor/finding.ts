/** pass and fail are checked; `yours` only the team can fulfil; `another way` the platform does. */
export type State = 'pass' | 'fail' | 'yours' | 'another way' | 'not yet';

export interface Finding {
  readonly state: State;
  /** What shows it: places in the project, an observation, or what to do. Safe to print. */
  readonly evidence: string;
}

export function pass(evidence: string): Finding {
  return { state: 'pass', evidence };
}

export function fail(evidence: string): Finding {
  return { state: 'fail', evidence };
}
