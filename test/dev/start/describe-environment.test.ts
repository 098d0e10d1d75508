import { describe, expect, it } from 'vitest';
import { describeEnvironment } from '../../../dev/start/describe-environment.ts';
import { planStart } from '../../../dev/start/plan-start.ts';

const ACCOUNT = 'DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5';

function linesFor(given?: string): string[] {
  const environment = given === undefined ? {} : { AzureWebJobsStorage: given };
  const plan = planStart({ argv: [], environment, localSettings: {} });
  const part = { where: 'here', ours: given === undefined };
  const storage = { ...part, connectionString: given ?? 'UseDevelopmentStorage=true' };
  return describeEnvironment(
    {
      url: 'http://127.0.0.1:7071',
      model: part,
      storage,
      functionKey: undefined,
      failed: new Promise(() => undefined),
    },
    plan,
  );
}

describe('the lines of npm start (F24)', () => {
  it('have the connection string of the emulator, for the samples that write to the queue', () => {
    expect(linesFor()).toContain("  export AzureWebJobsStorage='UseDevelopmentStorage=true'");
  });

  it('never have the connection string of an account, which is a secret', () => {
    expect(linesFor(ACCOUNT).join('\n')).not.toContain('AccountKey');
  });
});
