import { isRecord } from './chat-request.ts';

const MAX_DEPTH = 64;
const SAMPLE_TEXT = 'development model';

const FORMATS: ReadonlyMap<unknown, string> = new Map([
  ['date-time', '2026-01-01T00:00:00Z'],
  ['date', '2026-01-01'],
  ['time', '00:00:00Z'],
  ['duration', 'P1D'],
  ['email', 'development@example.com'],
  ['hostname', 'example.com'],
  ['ipv4', '192.0.2.1'],
  ['ipv6', '2001:db8::1'],
  ['uri', 'https://example.com/'],
  ['uuid', '00000000-0000-4000-8000-000000000000'],
]);

interface InstanceContext {
  readonly root: unknown;
  /** References that are being built: meeting one again would never end. */
  readonly references: readonly string[];
  readonly depth: number;
}

/**
 * The smallest value that a JSON schema allows.
 * @throws ApiError if there is no finite one
 */
export function createInstance(schema: unknown): unknown {
  return build(schema, { root: schema, references: [], depth: 0 });
}

function build(schema: unknown, walk: InstanceContext): unknown {
  if (walk.depth > MAX_DEPTH) throw new RangeError('the schema nests too deeply');
  if (!isRecord(schema)) {
    if (schema === false) throw new RangeError('the schema allows no value');
    return null;
  }
  const inner = { ...walk, depth: walk.depth + 1 };
  if ('const' in schema) return schema['const'];
  const choices = schema['enum'];
  if (Array.isArray(choices) && choices.length > 0) return choices[0];
  const reference = schema['$ref'];
  if (typeof reference === 'string') return buildReference(reference, inner);
  const alternatives = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(alternatives)) return buildFirst(alternatives, inner);
  const parts = schema['allOf'];
  if (Array.isArray(parts)) return build(mergeParts(schema, parts, walk), inner);
  return buildTyped(schema, inner);
}

function buildReference(reference: string, walk: InstanceContext): unknown {
  if (walk.references.includes(reference)) throw new RangeError('the schema contains itself');
  const target = resolve(reference, walk.root);
  return build(target, { ...walk, references: [...walk.references, reference] });
}

function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith('#')) throw new RangeError('only local references can be followed');
  const steps = reference.slice(1).split('/').slice(1);
  return steps.reduce<unknown>((schema, step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isRecord(schema) || !Object.hasOwn(schema, name)) {
      throw new RangeError('a reference leads nowhere');
    }
    return schema[name];
  }, root);
}

function buildFirst(alternatives: readonly unknown[], walk: InstanceContext): unknown {
  let reason: unknown = new RangeError('the schema allows no value');
  for (const alternative of alternatives) {
    try {
      return build(alternative, walk);
    } catch (error) {
      reason = error;
    }
  }
  throw reason;
}

function mergeParts(
  schema: Record<string, unknown>,
  parts: readonly unknown[],
  walk: InstanceContext,
): Record<string, unknown> {
  const { allOf: _parts, ...own } = schema;
  const merged: Record<string, unknown> = { ...own };
  for (const part of parts) {
    const reference = isRecord(part) ? part['$ref'] : undefined;
    const resolved = typeof reference === 'string' ? resolve(reference, walk.root) : part;
    if (!isRecord(resolved)) continue;
    const properties = { ...asRecord(merged['properties']), ...asRecord(resolved['properties']) };
    const required = [...asArray(merged['required']), ...asArray(resolved['required'])];
    Object.assign(merged, resolved, { properties, required });
  }
  return merged;
}

function buildTyped(schema: Record<string, unknown>, walk: InstanceContext): unknown {
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type ?? impliedType(schema)) {
    case 'object':
      return buildObject(schema, walk);
    case 'array':
      return buildArray(schema, walk);
    case 'string':
      return buildString(schema);
    case 'integer':
    case 'number':
      return buildNumber(schema, type === 'integer');
    case 'boolean':
      return true;
    default:
      return null;
  }
}

function impliedType(schema: Record<string, unknown>): string {
  if ('properties' in schema) return 'object';
  if ('items' in schema || 'prefixItems' in schema) return 'array';
  return 'pattern' in schema || 'minLength' in schema ? 'string' : 'null';
}

function buildObject(schema: Record<string, unknown>, walk: InstanceContext): unknown {
  const properties = asRecord(schema['properties']);
  const required = asArray(schema['required']).filter((name) => typeof name === 'string');
  return Object.fromEntries(
    required.map((name) => [
      name,
      build(Object.hasOwn(properties, name) ? properties[name] : true, walk),
    ]),
  );
}

function buildArray(schema: Record<string, unknown>, walk: InstanceContext): unknown {
  const first = asArray(schema['prefixItems']);
  const wanted = Math.min(Math.max(asNumber(schema['minItems']) ?? 0, first.length), 1000);
  return Array.from({ length: wanted }, (_, index) => build(first[index] ?? schema['items'], walk));
}

function buildString(schema: Record<string, unknown>): string {
  const format = FORMATS.get(schema['format']);
  if (format !== undefined) return format;
  const pattern = schema['pattern'];
  const fitted = fitLength(SAMPLE_TEXT, schema);
  if (typeof pattern !== 'string') return fitted;
  const candidates = [
    fitted,
    fitLength('developmentmodel', schema),
    'A',
    'a',
    '1',
    'A1',
    '+10000000',
  ];
  const digits = Array.from({ length: 20 }, (_, index) => '1'.repeat(index + 1));
  const letters = Array.from({ length: 10 }, (_, index) => 'A'.repeat(index + 1));
  const expression = new RegExp(pattern, 'u');
  return (
    [...candidates, ...FORMATS.values(), ...digits, ...letters].find((candidate) =>
      expression.test(candidate),
    ) ?? fitted
  );
}

function fitLength(text: string, schema: Record<string, unknown>): string {
  const least = Math.min(asNumber(schema['minLength']) ?? 0, 100_000);
  return text.padEnd(least, ' model').slice(0, asNumber(schema['maxLength']) ?? Infinity);
}

function buildNumber(schema: Record<string, unknown>, isInteger: boolean): number {
  const step = asNumber(schema['multipleOf']) ?? (isInteger ? 1 : undefined);
  const above = asNumber(schema['exclusiveMinimum']);
  const below = asNumber(schema['exclusiveMaximum']);
  const least = asNumber(schema['minimum']) ?? (above === undefined ? -Infinity : above);
  const most = asNumber(schema['maximum']) ?? (below === undefined ? Infinity : below);
  if (least <= 0 && most >= 0 && above !== 0 && below !== 0) return 0;
  const start = least > 0 || above === 0 ? least : most;
  const inward = start === least ? 1 : -1;
  if (step !== undefined) {
    const onGrid = inward * Math.ceil((inward * start) / step) * step;
    return onGrid === above || onGrid === below ? onGrid + inward * step : onGrid;
  }
  if (start !== above && start !== below) return start;
  const span = Number.isFinite(most - least) ? (most - least) / 2 : 1;
  return start + inward * span;
}

function asRecord(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
