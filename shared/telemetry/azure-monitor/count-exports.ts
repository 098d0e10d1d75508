import type { MetricsRegistry } from '../metrics-registry.ts';

interface Exporter<Item> {
  export(items: Item, done: (result: { code: number; error?: Error }) => void): void;
}

const SUCCESS = 0;

/** Counts how packages fared. The exporter's own errors are told by nobody else. */
export function countExports<Item, Inner extends Exporter<Item>>(
  inner: Inner & Exporter<Item>,
  { signal, registry }: { readonly signal: string; readonly registry: MetricsRegistry },
): Inner {
  const send = inner.export.bind(inner);
  inner.export = (items, done) => {
    send(items, (result) => {
      const outcome = result.code === SUCCESS ? 'sent' : 'dropped';
      registry.count('telemetryExports', 1, { signal, outcome });
      done(result);
    });
  };
  return inner;
}
