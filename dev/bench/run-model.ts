import { startDevelopmentModel } from '../model/start-development-model.ts';
import { servePart } from './part.ts';

const model = await startDevelopmentModel({ tokenDelayMs: 0 });
servePart({ url: model.url, pid: process.pid, stop: () => model.stop() });
