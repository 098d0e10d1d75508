import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Resident memory of a process in MB; NaN where the system does not report it. */
export async function readMemoryMb(pid: number | undefined): Promise<number> {
  if (pid === undefined) return Number.NaN;
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]).catch(
    () => ({ stdout: 'NaN' }),
  );
  return Number(stdout) / 1024;
}
