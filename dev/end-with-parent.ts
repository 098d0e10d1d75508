/**
 * Preloaded into a child process (`node --import`), so that it never outlives its parent: the
 * channel to the parent closes however the parent ends, including kill -9.
 */

/** How long the child may take to close after its parent has closed the channel. */
const GRACE_MS = 8_000;

process.once('disconnect', () => {
  setTimeout(() => process.exit(1), GRACE_MS).unref();
  process.kill(process.pid, 'SIGTERM');
});

// A parent that ended before this line has closed the channel already: no event will follow.
if (process.send !== undefined && !process.connected) process.exit(1);
