import { readLocalSettings } from '../host/settings-file.ts';
import { CliError, firstLine } from '../cli-error.ts';

/** The Values of local.settings.json; an unreadable file is an error of one line. */
export function readSettingsFile(root: string): Readonly<Record<string, string>> {
  try {
    return readLocalSettings(root);
  } catch (error) {
    const reason = firstLine(error);
    const named = reason.includes('local.settings.json');
    throw new CliError(named ? reason : `Cannot read local.settings.json: ${reason}`, {
      cause: error,
    });
  }
}
