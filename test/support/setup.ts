import { afterEach, beforeEach } from 'vitest';

/** What a test writes to the console without expecting it is a defect of the code or of the test. */
const METHODS = ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const;

const originals = Object.fromEntries(METHODS.map((method) => [method, console[method]]));
let written: string[] = [];

// Plain replacement, no spy: a test that expects output puts its own spy on top of this.
beforeEach(() => {
  written = [];
  for (const method of METHODS) {
    console[method] = (...values: unknown[]) => {
      written.push(`console.${method}: ${values.map(String).join(' ')}`);
    };
  }
});

afterEach(() => {
  Object.assign(console, originals);
  if (written.length > 0) throw new Error(`Unexpected console output\n${written.join('\n')}`);
});
