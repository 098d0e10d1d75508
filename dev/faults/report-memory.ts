/**
 * Preloaded into a worker (`node --expose-gc --import`): prints after SIGUSR2 how many bytes its
 * objects and buffers hold. Resident memory would also count what the runtime keeps in reserve.
 */
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  // Buffers that the first collection found are freed in the background; the second one waits for
  // that.
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.stdout.write(`live bytes ${heapUsed + external}\n`);
});
