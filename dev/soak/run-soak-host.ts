import * as z from 'zod';
import { serveChild } from '../bench/child-server.ts';
import { readReport, WORKER_REPORTS } from '../faults/worker-report.ts';
import { startHost } from '../host/start-host.ts';
import type { WorkerReport } from '../faults/worker-report.ts';

/** The local host in a process of its own. At its end it sends the reports of the worker. */
const { appRoot, environment } = z
  .object({ appRoot: z.string(), environment: z.record(z.string(), z.string()) })
  .parse(JSON.parse(process.argv[2] ?? ''));
const reports: WorkerReport[] = [];
const host = await startHost({
  appRoot,
  port: 0,
  environment: { ...environment, ...WORKER_REPORTS },
  log({ message }) {
    const report = readReport(message);
    if (report !== undefined) reports.push(report);
  },
});
serveChild({
  url: host.url,
  pid: host.workerPid() ?? 0,
  async stop() {
    await host.stop();
    await new Promise((resolve) => process.send?.(reports, resolve));
  },
});
