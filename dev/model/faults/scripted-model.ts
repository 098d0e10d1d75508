import type { ResponseWriter } from '../response-writer.ts';
import { sendReply } from '../send-reply.ts';

export interface Parameter {
  readonly text: string;
  readonly number: number;
}

/** A model name and its behaviour. */
export interface ScriptedModel {
  /** Without the prefix. */
  readonly name: string;
  readonly parameter?: {
    readonly label: string;
    readonly kind: 'number' | 'text';
    /** The parameter if the name has none; absent if it must have one. */
    readonly standard?: string;
  };
  readonly description: string;
  answer(writer: ResponseWriter, parameter: Parameter): Promise<void> | void;
}

/** Fails the first `times` calls of a conversation, answers the next one, and starts again. */
export async function failThenReply(
  writer: ResponseWriter,
  fault: { readonly times: number; fail(): Promise<void> | void },
): Promise<void> {
  if (writer.failsNow(fault.times)) await fault.fail();
  else await sendReply(writer);
}
