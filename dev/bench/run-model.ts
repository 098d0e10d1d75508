import { startDevelopmentModel } from '../model/start-development-model.ts';
import { serveChild } from './child-server.ts';

const model = await startDevelopmentModel({ tokenDelayMs: 0 });
serveChild({ url: model.url, pid: process.pid, stop: () => model.stop() });
