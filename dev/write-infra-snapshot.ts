import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { predictDeployment, restoreBicep } from './infra/bicep-cli.ts';
import { EVERY_OPTION, SNAPSHOT, toSnapshot } from './infra/snapshot.ts';
import { PROJECT_ROOT } from './project-root.ts';

/** Writes what the templates deploy with every option. A test fails while it is out of date. */
await restoreBicep();
await writeFile(join(PROJECT_ROOT, SNAPSHOT), toSnapshot(await predictDeployment(EVERY_OPTION)));
