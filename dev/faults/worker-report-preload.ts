/**
 * Preloaded into a worker (`node --expose-gc --import`): prints one line about the worker after
 * SIGUSR2. The processor time of a turn, unlike a latency, does not depend on what else the machine
 * does.
 */
const TICK_MS = 5;

let longestTurnMs = 0;
let last = process.threadCpuUsage();

/** A timer that is due runs in each turn of the event loop, so no turn is longer than two ticks. */
setInterval(() => {
  const { user, system } = process.threadCpuUsage(last);
  last = process.threadCpuUsage();
  longestTurnMs = Math.max(longestTurnMs, (user + system) / 1_000);
}, TICK_MS).unref();

process.on('SIGUSR2', () => {
  globalThis.gc?.();
  // Buffers that the first collection found are freed in the background; the second one waits for
  // that.
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const report = { liveBytes: heapUsed + external, longestTurnMs: Math.round(longestTurnMs) };
  process.stdout.write(`worker report ${JSON.stringify(report)}\n`);
  longestTurnMs = 0;
  last = process.threadCpuUsage();
});
