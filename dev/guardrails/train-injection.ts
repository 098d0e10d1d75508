import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  extractFeatures,
  FEATURE_COUNT,
  FEATURE_GROUPS,
} from '../../shared/guardrails/injection/features.ts';
import { describeCliError, CliError } from '../cli-error.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { generateTexts } from './generate-texts.ts';
import { createRandom } from './grammar.ts';
import { channelOf, type InjectionRow, readLabelledFile } from './labelled-file.ts';
import { readPackageDocuments } from './package-documents.ts';
import { describeFigures, injectionFigures, THRESHOLD } from './score-injection.ts';
import { groupByPassages, predict, toExample, train, type Example } from './train-model.ts';

const SEED = 7;
const FOLDS = 5;
const REPEATS = 2;
const GENERATED = { count: 8000, seed: 5 } as const;
/** A text of a grammar counts for less than one of a person. */
const GENERATED_WEIGHT = 0.5;
/** What only its context makes an attack hardly counts: its words are those of harmless texts. */
const WEIGHTS = { explicit: 1.5, weak: 0.02, benign: 1 } as const;

process.exitCode = await main();

/** `node dev/guardrails/train-injection.ts texts.jsonl [--write]`: figures, and the weights. */
async function main(): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { write: { type: 'boolean', default: false } },
    });
    const [path] = positionals;
    if (path === undefined)
      throw new CliError('Cannot train as a file of labelled texts is missing');
    const file = await readLabelledFile(path);
    if (file.kind !== 'injection') throw new CliError(`Cannot train as ${path} has no labels`);
    await trainOn(file.rows, values.write);
    return 0;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

async function trainOn(rows: readonly InjectionRow[], write: boolean): Promise<void> {
  const examples = rows.map((row) =>
    toExample(row.text, {
      channel: channelOf(row),
      label: row.label,
      weight: WEIGHTS[row.strength],
    }),
  );
  const documents = readPackageDocuments(GENERATED.seed);
  const generated = [...generateTexts(GENERATED), ...documents.training].map((text) =>
    toExample(text.text, { ...text, weight: GENERATED_WEIGHT }),
  );
  const groups = groupByPassages(rows.map(({ text }) => text));
  const figures: Record<string, string> = {
    fitted: figuresOf(rows, predictFitted(examples, generated)),
    crossValidated: figuresOf(rows, crossValidate(examples, { generated, groups })),
    sourceLeftOut: figuresOf(rows, leaveSourcesOut(examples, { generated, rows })),
    generatedOnly: figuresOf(rows, predictGeneratedOnly(examples, generated)),
  };
  const weights = train([...examples, ...generated], SEED);
  const flagged = documents.validation.filter(
    ({ text, channel }) => predict(extractFeatures(text, channel), weights) >= THRESHOLD,
  ).length;
  const all = documents.validation.length;
  figures.packageDocuments = `${flagged} of ${all} harmless parts flagged`;
  for (const [name, text] of Object.entries(figures)) console.log(`${name}: ${text}`);
  console.log(`trained on ${examples.length} public and ${generated.length} other texts`);
  if (!write) return;
  await writeFile(
    join(PROJECT_ROOT, 'shared', 'guardrails', 'injection', 'weights.ts'),
    toModule(weights, { figures, rows: rows.length }),
  );
}

function figuresOf(rows: readonly InjectionRow[], scores: readonly number[]): string {
  return describeFigures(injectionFigures(rows, scores));
}

function predictFitted(examples: readonly Example[], generated: readonly Example[]): number[] {
  const weights = train([...examples, ...generated], SEED);
  return examples.map(({ vectors }) => predict(vectors, weights));
}

function predictGeneratedOnly(examples: readonly Example[], generated: readonly Example[]) {
  const weights = train(generated, SEED);
  return examples.map(({ vectors }) => predict(vectors, weights));
}

/** Each text is scored by models that saw no text of its group. */
function crossValidate(
  examples: readonly Example[],
  {
    generated,
    groups,
  }: { readonly generated: readonly Example[]; readonly groups: readonly number[] },
): number[] {
  const sums = examples.map(() => 0);
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const random = createRandom(100 + repeat);
    const folds = new Map(
      [...new Set(groups)].map((group) => [group, Math.floor(random() * FOLDS)]),
    );
    const foldOf = examples.map((_, index) => folds.get(groups[index] ?? -1));
    for (let fold = 0; fold < FOLDS; fold += 1) {
      const seen = examples.filter((_, index) => foldOf[index] !== fold);
      const weights = train([...seen, ...generated], SEED);
      for (const [index, { vectors }] of examples.entries()) {
        if (foldOf[index] !== fold) continue;
        sums[index] = (sums[index] ?? 0) + predict(vectors, weights) / REPEATS;
      }
    }
  }
  return sums;
}

/** Each text is scored by a model that saw no text of its source. */
function leaveSourcesOut(
  examples: readonly Example[],
  {
    generated,
    rows,
  }: { readonly generated: readonly Example[]; readonly rows: readonly InjectionRow[] },
): number[] {
  const models = new Map(
    [...new Set(rows.map(({ source }) => source))].map((source) => {
      const seen = examples.filter((_, index) => rows[index]?.source !== source);
      return [source, train([...seen, ...generated], SEED)];
    }),
  );
  return examples.map(({ vectors }, index) => {
    const weights = models.get(rows[index]?.source ?? '');
    return weights === undefined ? 0 : predict(vectors, weights);
  });
}

interface Provenance {
  readonly figures: Readonly<Record<string, string>>;
  readonly rows: number;
}

/** Eight bits a weight, with one scale a group: half of the largest step is lost at most. */
function toModule(weights: Float64Array, { figures, rows }: Provenance): string {
  const bytes = new Int8Array(FEATURE_COUNT);
  const scales: number[] = [];
  for (let group = 0; group + 1 < FEATURE_GROUPS.length; group += 1) {
    const [start = 0, end = 0] = [FEATURE_GROUPS[group], FEATURE_GROUPS[group + 1]];
    const largest = weights
      .slice(start, end)
      .reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    const scale = largest / 127;
    scales.push(Number(scale.toPrecision(6)));
    for (let index = start; index < end; index += 1) {
      bytes[index] = Math.round((weights[index] ?? 0) / (scale || 1));
    }
  }
  const lines = Object.entries(figures).map(([name, text]) => ` * - ${name}: ${text}`);
  return `/**
 * Weights of the model of prompt injections. Written by dev/guardrails/train-injection.ts; do not
 * edit. Trained on ${rows} public texts (docs/guardrails.md lists sources and licences) and
 * ${GENERATED.count} texts of the grammars in dev/guardrails. Figures on the public texts:
 *
${lines.join('\n')}
 */
export const SCALES: readonly number[] = ${JSON.stringify(scales)};

/** One signed byte a feature, in the order of features.ts, in base64. */
export const WEIGHTS: readonly string[] = [
${toLines(Buffer.from(bytes.buffer).toString('base64'))}
];
`;
}

const LINE_CHARS = 300;

function toLines(text: string): string {
  return (text.match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? [])
    .map((line) => `  '${line}',`)
    .join('\n');
}
