import { PROJECT_ROOT } from './project-root.ts';
import { runStart } from './start/run-start.ts';

await runStart({ root: PROJECT_ROOT, argv: process.argv.slice(2) });
