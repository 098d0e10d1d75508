import type { RpcData } from './worker/messages.ts';

/** Names already taken, by lower case. */
type Names = Map<string, string>;

/** Sets an entry; a name that is there in another letter case keeps its case and gets the value. */
export function setIgnoringCase(
  metadata: Record<string, RpcData>,
  { names, name, value }: { readonly names: Names; readonly name: string; readonly value: RpcData },
): void {
  const lower = name.toLowerCase();
  const known = names.get(lower);
  if (known === undefined) names.set(lower, name);
  // Defined, not assigned: `__proto__` is a name like any other to the platform.
  Object.defineProperty(metadata, known ?? name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** Merges the properties of a text that is a JSON object, lists left out; they win over what is there. */
export function mergeObject(
  metadata: Record<string, RpcData>,
  { names, text }: { readonly names: Names; readonly text: string },
): void {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) return;
  let content: object;
  try {
    content = JSON.parse(trimmed);
  } catch {
    return;
  }
  for (const [name, value] of Object.entries(content)) {
    const data = toData(value);
    if (data !== undefined) setIgnoringCase(metadata, { names, name, value: data });
  }
}

function toData(value: unknown): RpcData | undefined {
  if (value === null || Array.isArray(value)) return undefined;
  if (typeof value === 'object') return { json: JSON.stringify(value) };
  // As .NET writes them.
  if (typeof value === 'boolean') return { string: value ? 'True' : 'False' };
  return { string: typeof value === 'string' ? value : JSON.stringify(value) };
}
