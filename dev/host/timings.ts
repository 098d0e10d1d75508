/** Every time constant of the host, in milliseconds. Only tests shrink them. */
export interface HostTimings {
  /** From the app's functionTimeout to the moment the host terminates the worker. */
  readonly timeoutGraceMs: number;
  /** From that moment until the caller of the timed-out function gets its answer. */
  readonly timeoutAnswerMs: number;
  /** How long a forwarded request may pass without a byte in either direction. */
  readonly forwardActivityMs: number;
  /** How long a body of announced length may take before its pace is looked at. */
  readonly bodyGraceMs: number;
  /** How long requests in flight may go on once the host is stopping. */
  readonly httpDrainMs: number;
  /** How long messages in flight may go on after that. */
  readonly jobHostDrainMs: number;
  /** How long the worker may take to run its terminate hooks and exit. */
  readonly terminateGraceMs: number;
  /** The least time between two restarts of a crashed worker. */
  readonly restartIntervalMs: number;
  /** Crashes further apart than this are not counted together. */
  readonly crashWindowMs: number;
  /** From the crash that stops the host until the requests that still wait are reset. */
  readonly giveUpResetMs: number;
  /** How long a worker may take to load the app. */
  readonly workerStartMs: number;
  /** How long a message in work stays invisible to others; renewed at half of it. */
  readonly messageInvisibleMs: number;
  /** The shortest wait between two looks into a queue. */
  readonly minPollingMs: number;
  /** How long an idle connection of a client is kept open. */
  readonly keepAliveMs: number;
}

/** The constants of the real host. */
export const REAL_TIMINGS: HostTimings = {
  timeoutGraceMs: 2_000,
  timeoutAnswerMs: 10_000,
  forwardActivityMs: 240_000,
  bodyGraceMs: 5_000,
  httpDrainMs: 30_000,
  jobHostDrainMs: 10_000,
  terminateGraceMs: 5_000,
  restartIntervalMs: 10_000,
  crashWindowMs: 30 * 60_000,
  giveUpResetMs: 30_000,
  workerStartMs: 60_000,
  messageInvisibleMs: 10 * 60_000,
  minPollingMs: 100,
  keepAliveMs: 130_000,
};

/** How many crashes within the window stop the host, with one worker process. */
export const CRASHES_THAT_STOP = 3;
