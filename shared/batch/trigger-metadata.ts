import { createRequire } from 'node:module';

/** The package through which the worker of the platform and the Functions library meet. */
const CORE_PACKAGE = '@azure/functions-core';
/** What the platform itself says of a queue message, in its spelling. */
const PLATFORM_FIELDS = new Set([
  'DequeueCount',
  'ExpirationTime',
  'Id',
  'InsertionTime',
  'NextVisibleTime',
  'PopReceipt',
]);

/** The part of the worker's API that is used here. */
interface CoreApi {
  getProgrammingModel(): { getInvocationModel(context: unknown): unknown } | undefined;
}

/**
 * Removes the fields of queue messages from the trigger metadata before the Functions library
 * converts them. The platform copies the whole message there. The library walks through it
 * recursively, so a message that is nested some thousand levels deep overflows the stack before any
 * handler runs, at each delivery and in the poison queue too.
 *
 * Call it after the library registered itself, such as after `app.setup`.
 */
export function dropMessageFromTriggerMetadata(core: CoreApi | undefined = loadCoreApi()): void {
  const model = core?.getProgrammingModel();
  if (model === undefined) return;
  const original = model.getInvocationModel.bind(model);
  model.getInvocationModel = (context) => {
    const metadata = queueTriggerMetadata(context);
    for (const name of Object.keys(metadata)) {
      if (!PLATFORM_FIELDS.has(name)) Reflect.deleteProperty(metadata, name);
    }
    return original(context);
  };
}

/** Undefined outside of the platform and the local host, such as in a test of a trigger. */
function loadCoreApi(): CoreApi | undefined {
  try {
    return createRequire(import.meta.url)(CORE_PACKAGE);
  } catch {
    return undefined;
  }
}

/** The metadata of an invocation by a queue; empty for any other invocation. */
function queueTriggerMetadata(context: unknown): object {
  const metadata = fieldOf(fieldOf(context, 'request'), 'triggerMetadata');
  const isQueue = fieldOf(metadata, 'QueueTrigger') !== undefined;
  return isQueue && typeof metadata === 'object' && metadata !== null ? metadata : {};
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
