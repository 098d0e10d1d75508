import { pathToFileURL } from 'node:url';
import { findProgram } from '../../find-program.ts';
import { REDIS_PROGRAM, startRedisEnvironment } from '../../redis/redis-environment.ts';
import { custom, type FaultFamily, type Finding } from '../fault-case.ts';
import { type FaultEnvironment, startFaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { sendRequest } from '../send-request.ts';

/** What `dev/faults/clock-ahead.ts` adds. */
const AHEAD_MINUTES = 10;
/** A minute, and as long as a busy machine takes for the requests. */
const MAX_RETRY_AFTER_SECONDS = 90;

const CLOCK_AHEAD = pathToFileURL(`${import.meta.dirname}/../clock-ahead.ts`).href;

/** T13: instances whose clocks differ. */
export const sharedClocks: FaultFamily = {
  name: 'shared clocks',
  settings: {},
  lanes: 1,
  cases: [
    custom({
      id: 'T13',
      injected: `one of two instances with a clock ${AHEAD_MINUTES} minutes ahead`,
      promised: 'the other refuses for no longer than a minute',
      modes: ['json'],
      run: useClockAhead,
    }),
  ],
};

async function useClockAhead(): Promise<Finding> {
  if (findProgram([REDIS_PROGRAM]) === undefined) {
    return { happened: `not run: install ${REDIS_PROGRAM}`, calls: 0, received: [], problems: [] };
  }
  const redis = await startRedisEnvironment();
  const { url, token } = redis.bridge;
  const settings = {
    AGENT__LIMITS__REQUESTS_PER_MINUTE: '1',
    UPSTASH_REDIS_REST_URL: url,
    UPSTASH_REDIS_REST_TOKEN: token,
  };
  const instances: FaultEnvironment[] = [];
  try {
    for (const own of [{ languageWorkers__node__arguments: `--import ${CLOCK_AHEAD}` }, {}]) {
      instances.push(
        await startFaultEnvironment({ endpoints: 1, settings: { ...settings, ...own } }),
      );
    }
    const results = [];
    for (const { url: instance } of instances) {
      const message = `dev/instant ${newMarker()}`;
      results.push(await sendRequest(instance, { message, mode: 'json' }));
    }
    const [ahead, right] = results;
    const seconds = right?.retryAfterSeconds ?? Number.POSITIVE_INFINITY;
    return {
      happened: `${ahead?.outcome}, then ${right?.outcome} for ${seconds} s`,
      calls: 1,
      received: [],
      problems: [
        ...(ahead?.outcome === 'answer' ? [] : [`the instance ahead answers ${ahead?.outcome}`]),
        ...(right?.outcome === 'rate_limited' ? [] : ['the instances do not share their limits']),
        ...(seconds <= MAX_RETRY_AFTER_SECONDS ? [] : [`refused for ${seconds} s`]),
      ],
    };
  } finally {
    await Promise.all(instances.map((instance) => instance.stop()));
    await redis.close();
  }
}
