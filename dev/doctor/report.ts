import { formatTable } from '../table.ts';
import { orFail, type Azure } from './azure.ts';
import { inspect, type Box, type Section } from './box.ts';
import type { Deployment } from './deployment.ts';
import type { Finding, State } from './finding.ts';

export interface Result extends Finding {
  readonly number: number;
  readonly title: string;
  readonly section: string;
  /** Where the state comes from. */
  readonly source: 'project' | 'live' | 'azure';
}

interface Targets {
  readonly deployment?: Deployment | undefined;
  readonly azure?: Azure | undefined;
  /** Called before each box that needs a request. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The state of each box. What a running app or Azure shows wins over what the project says. */
export async function runDoctor(
  sections: readonly Section[],
  { deployment, azure, onProgress }: Targets = {},
): Promise<readonly Result[]> {
  const boxes = sections.flatMap(({ title, boxes: own }) =>
    own.map((box) => ({ box, section: title })),
  );
  const results: Result[] = [];
  for (const { box, section } of boxes) {
    onProgress?.(results.length, boxes.length);
    const { number, title } = box;
    results.push({ number, title, section, ...(await findState(box, { deployment, azure })) });
  }
  return results;
}

async function findState(
  box: Box,
  { deployment, azure }: Targets,
): Promise<Finding & { readonly source: Result['source'] }> {
  const ofProject = { ...inspect(box), source: 'project' as const };
  const { live, azure: ofAzure } = box;
  const found = [
    ...(deployment && live
      ? [{ ...(await orFail(() => live(deployment))), source: 'live' as const }]
      : []),
    ...(azure && ofAzure
      ? [{ ...(await orFail(() => ofAzure(azure))), source: 'azure' as const }]
      : []),
  ];
  return [ofProject, ...found].find(({ state }) => state === 'fail') ?? found[0] ?? ofProject;
}

const ORDER: readonly State[] = ['pass', 'fail', 'not yet', 'yours', 'another way'];

/** How many boxes have each state, in one line. */
export function summarise(results: readonly Result[]): string {
  const counts = ORDER.map((state) => {
    const count = results.filter((result) => result.state === state).length;
    return `${count} ${state === 'another way' ? 'solved another way' : state}`;
  });
  return `${results.length} boxes: ${counts.join(', ')}`;
}

/** A table for the terminal. */
export function toTable(results: readonly Result[]): string {
  const columns = [
    { heading: '#', align: 'right' as const },
    { heading: 'box', width: 34 },
    { heading: 'state' },
    { heading: 'seen' },
    { heading: 'evidence', width: 90 },
  ];
  const rows = results.map(({ number, title, state, source, evidence }) => [
    String(number),
    title,
    state,
    source,
    evidence.replaceAll('`', ''),
  ]);
  return formatTable(columns, rows);
}

const INTRODUCTION = `# Production checklist

Every box of a production checklist for an agent, with its state and what shows it. \`npm run doctor\` checks them: offline by the files of the project, with \`--url\` on a running app, with \`--azure\` on the resources of a deployment. This page is the output of \`npm run doctor -- --markdown\`.

**pass**: a check found it. **another way**: this platform solves it differently. **yours**: only you can fulfil it; the place named helps. **not yet**: missing.
`;

/** The page docs/checklist.md. */
export function toMarkdown(results: readonly Result[]): string {
  const sections = [...new Set(results.map(({ section }) => section))].map((section) => {
    const rows = results
      .filter((result) => result.section === section)
      .map(
        ({ number, title, state, evidence }) => `| ${number} | ${title} | ${state} | ${evidence} |`,
      );
    return [
      `## ${section}`,
      '',
      '| # | box | state | evidence |',
      '|---|---|---|---|',
      ...rows,
    ].join('\n');
  });
  return `${INTRODUCTION}\n${summarise(results)}.\n\n${sections.join('\n\n')}\n`;
}
