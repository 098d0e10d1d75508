import { Disposable } from './disposable.ts';

export type HookName = 'appStart' | 'appTerminate' | 'preInvocation' | 'postInvocation' | 'log';
type Hook = (context: Record<string, unknown>) => unknown;

const NAMES: ReadonlySet<string> = new Set([
  'appStart',
  'appTerminate',
  'preInvocation',
  'postInvocation',
  'log',
]);

/** The hooks of the app, in the order in which they were registered. */
export interface Hooks {
  register(name: string, hook: unknown): Disposable;
  /** Runs the hooks of one kind one after the other; the first that throws stops them. */
  run(name: HookName, context: Record<string, unknown>): Promise<void>;
  /** As `run`, for hooks that may not take time. */
  runAtOnce(name: HookName, context: Record<string, unknown>): void;
  /** What the hooks of the whole app share. */
  readonly appHookData: Record<string, unknown>;
  /** Data that appStart hooks share with appTerminate hooks. */
  readonly hookData: Record<string, unknown>;
}

export function createHooks(): Hooks {
  const hooks = new Map<string, Hook[]>();
  return {
    register(name, hook) {
      if (!NAMES.has(name)) throw new RangeError(`Unrecognized hook "${name}"`);
      if (!isHook(hook)) throw new TypeError(`Hook "${name}" must be a function`);
      const list = hooks.get(name) ?? [];
      hooks.set(name, list);
      list.push(hook);
      return new Disposable(() => {
        const index = list.indexOf(hook);
        if (index >= 0) list.splice(index, 1);
      });
    },
    async run(name, context) {
      for (const hook of hooks.get(name)?.slice() ?? []) await hook(context);
    },
    runAtOnce(name, context) {
      for (const hook of hooks.get(name) ?? []) hook(context);
    },
    appHookData: {},
    hookData: {},
  };
}

function isHook(value: unknown): value is Hook {
  return typeof value === 'function';
}

/** Gives a hook context a property that it can read and not replace. */
export function readOnly(value: unknown): PropertyDescriptor {
  return { value, enumerable: true, writable: false };
}
