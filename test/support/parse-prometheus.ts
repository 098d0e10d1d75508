export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(
  String.raw`^(${NAME})(?:\{((?:${LABEL})(?:,${LABEL})*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$`,
);
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);

/**
 * Reads the text format as strictly as it is written down: HELP and TYPE before the samples, one
 * block for each family, no sample twice, whole histograms. Throws at the first line that is wrong.
 */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  if (text === '') return new Map();
  if (!text.endsWith('\n')) throw new Error('The last line does not end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: { name: string; type: string; help: string; samples: Sample[] } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line);
    const type = new RegExp(`^# TYPE (${NAME}) (\\w+)$`).exec(line);
    if (help !== null) {
      const [, name = '', words = ''] = help;
      if (families.has(name)) throw new Error(`${name} comes twice`);
      current = { name, type: '', help: words, samples: [] };
      families.set(name, current);
    } else if (type !== null) {
      if (current?.name !== type[1] || current?.type !== '') throw new Error(`Misplaced: ${line}`);
      if (!TYPES.has(type[2] ?? '')) throw new Error(`Unknown type: ${line}`);
      current.type = type[2] ?? '';
    } else {
      if (current === undefined || current.type === '') throw new Error(`Without TYPE: ${line}`);
      const sample = parseSample(line);
      if (!belongsTo(sample.name, current)) throw new Error(`Not of ${current.name}: ${line}`);
      const identity = line.slice(0, line.lastIndexOf(' '));
      if (seen.has(identity)) throw new Error(`Twice: ${identity}`);
      seen.add(identity);
      current.samples.push(sample);
    }
  }
  for (const family of families.values()) checkHistogram(family);
  return families;
}

/** The sum of the samples of one name that have these labels. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const samples = [...families.values()].flatMap((family) => family.samples);
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([key, is]) => sample.labels[key] === is))
    .reduce((sum, { value }) => sum + value, 0);
}

function parseSample(line: string): Sample {
  const [, name, pairs = '', value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`Not a sample: ${line}`);
  const labels = Object.fromEntries(
    [...pairs.matchAll(new RegExp(`(${NAME})="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"`, 'g'))].map(
      ([, key = '', text = '']) => [key, text],
    ),
  );
  return { name, labels, value: Number(value) };
}

function belongsTo(name: string, { name: family, type }: { name: string; type: string }): boolean {
  if (type !== 'histogram') return name === family;
  return ['_bucket', '_sum', '_count'].some((end) => name === family + end);
}

/** Buckets grow, the last one is +Inf, and it says the same as the count. */
function checkHistogram({ name, type, samples }: Family): void {
  if (type !== 'histogram') return;
  for (const count of samples.filter((sample) => sample.name === `${name}_count`)) {
    const buckets = samples.filter(
      (sample) =>
        sample.name === `${name}_bucket` &&
        Object.entries(count.labels).every(([key, is]) => sample.labels[key] === is) &&
        Object.keys(sample.labels).length === Object.keys(count.labels).length + 1,
    );
    const values = buckets.map(({ value }) => value);
    if (values.some((value, index) => value < (values[index - 1] ?? 0))) {
      throw new Error(`${name} has buckets that shrink`);
    }
    const last = buckets.at(-1);
    if (last?.labels['le'] !== '+Inf' || last.value !== count.value) {
      throw new Error(`${name} is not whole`);
    }
  }
}
