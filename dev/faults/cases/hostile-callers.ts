import { z } from 'zod';
import { acted, type FaultFamily, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { sendRequest, type ClientResult } from '../send-request.ts';
import { countOutcomes } from '../steady-load.ts';

const TOKENS_PER_MINUTE = 100_000;
const CHATS_AT_ONCE = 60;
/** About 5,000 tokens, which the development model repeats in its answer. */
const LONG_MESSAGE_CHARS = 20_000;

/** T2 to T7: callers that try to take the service from the others. */
export const hostileCallers: FaultFamily = {
  name: 'hostile callers',
  settings: {},
  lanes: 1,
  cases: [
    acted({
      id: 'T5',
      injected: `${CHATS_AT_ONCE} long chats at once without a bound on the answer`,
      promised: `at most ${TOKENS_PER_MINUTE} tokens are used`,
      modes: ['json'],
      own: { AGENT__LIMITS__TOKENS_PER_MINUTE: String(TOKENS_PER_MINUTE) },
      act: sendUnboundedChats,
    }),
  ],
};

async function sendUnboundedChats(environment: FaultEnvironment): Promise<Finding> {
  const message = `${newMarker()} ${'word '.repeat(LONG_MESSAGE_CHARS / 5)}`;
  const results = await Promise.all(
    Array.from({ length: CHATS_AT_ONCE }, () =>
      sendRequest(environment.url, { message, mode: 'json' }),
    ),
  );
  const used = results.map(usedTokens).reduce((sum, tokens) => sum + tokens, 0);
  const served = results.filter(({ outcome }) => outcome === 'answer').length;
  return {
    happened: `${countOutcomes(results)}; ${used} tokens used`,
    calls: served,
    told: [],
    problems: [
      ...(served > 0 ? [] : ['no chat was served']),
      ...(used <= TOKENS_PER_MINUTE ? [] : [`${used} of ${TOKENS_PER_MINUTE} tokens were used`]),
    ],
  };
}

const usageSchema = z.object({ usage: z.object({ totalTokens: z.number() }) });

function usedTokens({ outcome, raw }: ClientResult): number {
  if (outcome !== 'answer') return 0;
  return usageSchema.parse(JSON.parse(raw.slice(raw.indexOf('\n{')))).usage.totalTokens;
}
