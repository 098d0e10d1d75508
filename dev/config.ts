import { showConfig } from './config/show-config.ts';
import { describeCliError } from './cli-error.ts';
import { PROJECT_ROOT, isMain } from './project-root.ts';
import { readAgentToml } from './start/agent-toml.ts';
import { readSettingsFile } from './start/local-settings.ts';

/**
 * `npm run config`: prints the configuration of the app in this shell; exits with 1 if the app
 * would not start.
 */
async function runConfig(root: string): Promise<void> {
  const environment = { ...readSettingsFile(root), ...process.env };
  const { lines, problems } = await showConfig(environment, readAgentToml(root));
  for (const line of lines) console.log(line);
  if (problems.length === 0) return;
  console.error(`\nCannot start with these settings:\n  ${problems.join('\n  ')}`);
  process.exitCode = 1;
}

if (isMain(import.meta.filename)) {
  runConfig(PROJECT_ROOT).catch((error: unknown) => {
    console.error(describeCliError(error));
    process.exitCode = 1;
  });
}
