/** Preloaded into a worker (`node --import`): its clock is ten minutes ahead. */
const AHEAD_MS = 600_000;

const now = Date.now.bind(Date);
Date.now = () => now() + AHEAD_MS;
globalThis.Date = new Proxy(Date, {
  construct(target, parts: unknown[], newTarget) {
    return Reflect.construct(target, parts.length === 0 ? [Date.now()] : parts, newTarget) as Date;
  },
});
