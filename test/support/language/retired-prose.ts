/** Log messages, metric names and values of attributes, and what replaced them. */
export const RETIRED_TEXTS: Readonly<Record<string, string>> = {
  'redis is back': 'redis recovered',
  'key vault answers again': 'key vault recovered',
  'key vault does not answer': 'key vault unavailable',
  'model call given up': 'model call failed',
  'model endpoint needs an operator': 'model endpoint misconfigured',
  'batch shard handed over': 'batch shard rescheduled',
  'batch shard is held by another delivery': 'batch shard lease busy',
  'batch job hold lost': 'shard lease lost',
  'changed secrets not taken over': 'secret change handler failed',
  'file broken off': 'file stream aborted',
  'client left': 'client disconnected',
  'batch job given up': 'batch shard exhausted',
  'batch message put back': 'batch message requeued',
  'batch message put back unexplained': 'batch message requeued without a reason',
  'agent.model.given_up': 'agent.model.failures',
  'agent.limiter.verdicts': 'agent.rate_limit.decisions',
  'agent.batch.pace.limit': 'agent.batch.concurrency_limit',
  'handed over': 'rescheduled',
  'held elsewhere': 'lease_busy',
  'time up': 'deadline',
  'given up': 'exhausted',
  'no room': 'capacity',
};

/** Names of products that contain a retired word. */
export const ALLOWED_PROSE = ['Front Door'] as const;

const NAME_THE_ACTOR = 'name the actor: the caller, the client, the operator, no file';
const ACTIVE_VOICE = 'say who calls, sends or reads what';

/** Words and phrases that comments, documents and messages do without, and what to write instead. */
export const RETIRED_PROSE: Readonly<Record<string, string>> = {
  nobody: NAME_THE_ACTOR,
  somebody: NAME_THE_ACTOR,
  anybody: NAME_THE_ACTOR,
  everybody: NAME_THE_ACTOR,
  whoever: NAME_THE_ACTOR,
  whomever: NAME_THE_ACTOR,
  told: ACTIVE_VOICE,
  'is asked': ACTIVE_VOICE,
  'are asked': ACTIVE_VOICE,
  'was asked': ACTIVE_VOICE,
  'were asked': ACTIVE_VOICE,
  'be asked': ACTIVE_VOICE,
  'been asked': ACTIVE_VOICE,
  'being asked': ACTIVE_VOICE,
  'would else': 'would otherwise',
  house: 'module, project',
  houses: 'modules, projects',
  room: 'module, capacity',
  rooms: 'modules',
  door: 'dependency rule, entry',
  doors: 'dependency rules, entries',
  floors: 'layers, minimums',
  desk: 'service',
  desks: 'services',
  journey: 'call state',
  journeys: 'call states',
  watchdog: 'idle timer',
  watchdogs: 'idle timers',
  bites: 'times out',
  shelf: 'cache',
  forgetful: 'uncached',
  pardoned: 'retried at once',
};
