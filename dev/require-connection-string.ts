import { CliError } from './cli-error.ts';

const LOOKS_RIGHT = /^UseDevelopmentStorage=true|(^|;)\s*(AccountName|SharedAccessSignature)=./i;

/** The storage packages only report "Invalid URL"; this names the setting, and never its value. */
export function requireConnectionString(text: string): void {
  if (LOOKS_RIGHT.test(text.trim())) return;
  throw new CliError(
    "Cannot use 'AzureWebJobsStorage' as it must be the connection string of a storage account",
  );
}
