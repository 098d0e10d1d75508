import { z } from 'zod';
import { startHost } from '../host/start-host.ts';
import { serveChild } from './child-server.ts';

const { appRoot, environment } = z
  .object({ appRoot: z.string(), environment: z.record(z.string(), z.string()) })
  .parse(JSON.parse(process.argv[2] ?? ''));
const host = await startHost({ appRoot, port: 0, environment, log: () => undefined });
serveChild({ url: host.url, pid: host.workerPid() ?? 0, stop: () => host.stop() });
