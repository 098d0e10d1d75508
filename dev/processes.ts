/** Whether a process with this id exists: what a process left behind is only valid while it runs. */
export function isRunning(pid: number): boolean {
  try {
    // Signal 0 only asks; a process of somebody else answers with "not permitted", and runs.
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
