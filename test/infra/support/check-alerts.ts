import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { rowsOf } from './read-names.ts';
import { declarations, plainText, propertyOf, bodyOf, type BicepFile } from './bicep-tree.ts';

export interface Alert {
  readonly name: string;
  readonly runbook: string;
  readonly query?: string;
}

/** Every alert of the templates: the rows of the list, and the resources outside it. */
export function alertsOf(files: readonly BicepFile[]): Alert[] {
  const rows = files
    .flatMap((file) => rowsOf(file, 'rules'))
    .map((row) => ({
      name: row['name'] ?? '',
      runbook: row['runbook'] ?? '',
      query: queryOf(row['query'] ?? ''),
    }));
  const alone = files
    .flatMap((file) => declarations(file, 'resource'))
    .filter(({ node }) => /(?:Alerts|scheduledQueryRules)@/.test(node.text.split('\n')[0] ?? ''))
    .flatMap(({ node }) => {
      const name = plainText(propertyOf(bodyOf(node), 'name'));
      const runbook = /runbooks\/alerts\/([a-z-]+)\.md/.exec(node.text)?.[1] ?? '';
      const query = /loadTextContent\([^)]*\)/.exec(node.text)?.[0];
      if (name === undefined) return [];
      return [{ name, runbook, ...(query === undefined ? {} : { query: queryOf(query) }) }];
    });
  return [...rows, ...alone];
}

function queryOf(expression: string): string {
  return /queries\/([a-z0-9-]+)\.kql/.exec(expression)?.[1] ?? '';
}

/** Alerts without a runbook, runbooks without an alert, unused queries. */
export function checkRunbooks(alerts: readonly Alert[], pages: readonly string[]): string[] {
  const wanted = new Set(alerts.map(({ runbook }) => runbook));
  const there = new Set(pages.map((page) => basename(page, '.md')));
  return [
    ...[...wanted].filter((name) => !there.has(name)).map((name) => `no runbook ${name}`),
    ...[...there].filter((name) => !wanted.has(name)).map((name) => `no alert for ${name}`),
  ];
}

/** What a query searches for: metric names, log messages and error codes. */
export interface Signals {
  readonly metrics: readonly string[];
  readonly codes: readonly string[];
  readonly messages: readonly string[];
}

export function signalsOf(query: string): Signals {
  const code = query.replaceAll(/^\s*\/\/.*$/gm, '');
  const names = [...code.matchAll(/\bName (?:==|in) \(?((?:"[^"]+"(?:, )?)+)/g)].flatMap(
    ([, list = '']) => [...list.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name),
  );
  const messages = [...code.matchAll(/Message has "([^"]+)"/g)].map(([, text = '']) => text);
  const codes = [...code.matchAll(/failure == "([^"]+)"/g)].map(([, text = '']) => text);
  return { metrics: names.filter((name) => name.includes('.')), messages, codes };
}

/** Log messages that the product does not write. */
export function unknownMessages(signals: Signals): string[] {
  const sources = globSync('shared/**/*.ts').map((path) => readFileSync(path, 'utf8'));
  return signals.messages.filter((text) => !sources.some((source) => source.includes(`'${text}'`)));
}
