import type { LocalEnvironment } from './local-environment.ts';
import type { StartPlan } from './plan-start.ts';

/** The lines that the terminal shows once everything runs: the servers, and commands to copy. */
export function describeEnvironment(environment: LocalEnvironment, plan: StartPlan): string[] {
  const { url, model, storage } = environment;
  const key =
    environment.functionKey === undefined
      ? ''
      : ` -H 'x-functions-key: ${environment.functionKey}'`;
  const chat = `${url}/api/chat -H 'content-type: application/json'${key}`;
  const body = `-d '{"message": "Hello, test message"}'`;
  return [
    '',
    `functions  ${url}${plan.enableAuth ? ' (keys are required)' : ''}`,
    `model      ${model.ours ? `development model, ${model.where}` : model.where}`,
    `storage    ${storage.ours ? `emulator ${storage.where}` : storage.where}${noteOnStorage(environment, plan)}`,
    '',
    `  curl -f ${url}/health`,
    `  curl -f ${url}/ready`,
    `  curl ${chat} ${body}`,
    `  curl -N ${chat} -H 'accept: text/event-stream' ${body}`,
    `  echo '{"custom_id": "one", "body": {"message": "Hello"}}' > items.jsonl && npm run batch -- items.jsonl`,
    ...queueSample(environment, plan),
    '',
  ];
}

/** What the samples that write to the queue need. A storage account of the user stays a secret. */
function queueSample({ storage }: LocalEnvironment, plan: StartPlan): string[] {
  if (plan.storage === 'given' || storage.connectionString === undefined) return [];
  return ['', `  export AzureWebJobsStorage='${storage.connectionString}'`];
}

function noteOnStorage(environment: LocalEnvironment, plan: StartPlan): string {
  if (plan.storage !== 'emulator' || !environment.storage.ours) return '';
  return ' (no emulator answered on port 10000, so this start runs its own)';
}
