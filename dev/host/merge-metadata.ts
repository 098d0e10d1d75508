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

/** How many levels of JSON the platform reads; of a deeper text it merges nothing. */
const MAX_DEPTH = 64;

/** Merges the properties of a text that is a JSON object, except lists; they replace known entries. */
export function mergeObject(
  metadata: Record<string, RpcData>,
  { names, text }: { readonly names: Names; readonly text: string },
): void {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}') || isTooDeep(trimmed)) return;
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

function isTooDeep(json: string): boolean {
  let depth = 0;
  let isInText = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (isInText && character === '\\') at += 1;
    else if (character === '"') isInText = !isInText;
    else if (!isInText && (character === '{' || character === '[')) depth += 1;
    else if (!isInText && (character === '}' || character === ']')) depth -= 1;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

function toData(value: unknown): RpcData | undefined {
  if (value === null || Array.isArray(value)) return undefined;
  if (typeof value === 'object') return { json: JSON.stringify(value) };
  // As .NET writes them.
  if (typeof value === 'boolean') return { string: value ? 'True' : 'False' };
  return { string: typeof value === 'string' ? value : JSON.stringify(value) };
}
