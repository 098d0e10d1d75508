import { readFile, readdir } from 'node:fs/promises';

/**
 * CPU time of all threads of a process so far, in microseconds; NaN where the system does not report
 * it. Linux counts it in nanoseconds, as opposed to the ticks of `ps`.
 */
export async function readCpuUs(pid: number): Promise<number> {
  const folder = `/proc/${pid}/task`;
  const threads = await readdir(folder).catch(() => []);
  const times = await Promise.all(
    threads.map(async (thread) => {
      const text = await readFile(`${folder}/${thread}/schedstat`, 'utf8').catch(() => '0');
      return Number(text.split(' ')[0]) / 1_000;
    }),
  );
  return times.length === 0 ? Number.NaN : times.reduce((sum, time) => sum + time, 0);
}
