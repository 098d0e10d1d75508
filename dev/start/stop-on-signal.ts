import { whenNpmIsGone } from './watch-npm.ts';

/**
 * A terminal sends Ctrl-C to the whole process group, and npm forwards its own copy: two signals
 * within this time count as one.
 */
const SAME_WISH_MS = 500;

export interface StopOnSignalOptions {
  /** Stops everything gracefully; called once. */
  readonly stop: () => Promise<void>;
  readonly print: (line: string) => void;
}

/**
 * Turns the first SIGTERM or SIGINT into a graceful stop with exit code 0, and a second one into an
 * immediate end.
 */
export function stopOnSignal({ stop, print }: StopOnSignalOptions): void {
  let firstAt: number | undefined;
  const onSignal = (reason: string): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      print(`${reason}: stopping, requests in flight may finish (once more: at once)`);
      void stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    } else if (performance.now() - firstAt > SAME_WISH_MS) {
      // Children hold a channel to this process and end when it closes.
      process.exit(1);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  if (process.env['npm_lifecycle_event'] === 'start') whenNpmIsGone(() => onSignal('npm is gone'));
}
