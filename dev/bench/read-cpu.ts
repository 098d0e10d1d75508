import { readFile, readdir } from 'node:fs/promises';

/**
 * CPU time of all threads of a process so far, in microseconds; NaN where the system does not report
 * it. Linux counts it in nanoseconds, as opposed to the ticks of `ps`.
 */
export async function readCpuUs(pid: number): Promise<number> {
  const times = (await readThreads(pid)).map(([ran = 0]) => ran / 1_000);
  return times.length === 0 ? Number.NaN : times.reduce((sum, time) => sum + time, 0);
}

/** How long the threads of a process have waited for a processor so far, in ms; 0 where unknown. */
export async function readWaitMs(pid: number): Promise<number> {
  const times = (await readThreads(pid)).map(([, waited = 0]) => waited / 1_000_000);
  return times.reduce((sum, time) => sum + time, 0);
}

/** For each thread the time that it ran and the time that it waited to run, in ns. */
async function readThreads(pid: number): Promise<readonly (readonly number[])[]> {
  const folder = `/proc/${pid}/task`;
  const threads = await readdir(folder).catch(() => []);
  return Promise.all(
    threads.map(async (thread) => {
      const text = await readFile(`${folder}/${thread}/schedstat`, 'utf8').catch(() => '0 0');
      return text.split(' ').map(Number);
    }),
  );
}
