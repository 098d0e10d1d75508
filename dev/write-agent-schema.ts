import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { agentJsonSchema } from '../shared/config/agent-keys.ts';
import { PROJECT_ROOT } from './project-root.ts';

/** Writes the schema that editors use for agent.toml. A test fails while it is out of date. */
await writeFile(join(PROJECT_ROOT, 'agent.schema.json'), agentJsonSchema());
