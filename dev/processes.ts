/**
 * Whether a process with this id exists. A record that a process left is valid only while it runs.
 */
export function isRunning(pid: number): boolean {
  try {
    // Signal 0 only checks. A process of another user answers "not permitted", but it runs.
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
