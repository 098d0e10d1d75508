/** Preloaded into a worker process: the container has little memory, so that its share is high. */
process.constrainedMemory = () => 120 * 2 ** 20;
