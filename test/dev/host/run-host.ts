import { startHost } from '../../../dev/host/start-host.ts';

/** Runs one app until the end of this process, for tests that end it in their own way. */
const [appRoot = ''] = process.argv.slice(2);
const host = await startHost({ appRoot, port: 0, environment: {} });
process.stdout.write(`${JSON.stringify({ url: host.url, workerPid: host.workerPid() })}\n`);
process.once('SIGTERM', () => {
  void host.stop().then(() => process.stdout.write('stopped\n'));
});
