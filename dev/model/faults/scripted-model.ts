import type { ResponseWriter } from '../response-writer.ts';
import { sendReply } from '../send-reply.ts';

export interface Parameter {
  readonly text: string;
  readonly number: number;
}

/** One model name and what happens to those who call it. */
export interface ScriptedModel {
  /** Without the prefix. */
  readonly name: string;
  readonly parameter?: {
    readonly label: string;
    readonly kind: 'number' | 'text';
    /** What holds when the name comes without a parameter; absent where it must have one. */
    readonly standard?: string;
  };
  readonly description: string;
  answer(exchange: ResponseWriter, parameter: Parameter): Promise<void> | void;
}

/** Fails the first `times` calls of a conversation, answers the next one, and starts anew. */
export async function failThenReply(
  exchange: ResponseWriter,
  fault: { readonly times: number; fail(): Promise<void> | void },
): Promise<void> {
  if (exchange.failsNow(fault.times)) await fault.fail();
  else await sendReply(exchange);
}
