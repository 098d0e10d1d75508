import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { startingInvocation } from '../shared/http/worker-http-server.ts';
import { runPoisonHandler } from '../shared/runs/create-runs.ts';
import { RUN_POISON_QUEUE } from '../shared/runs/storage-names.ts';

app.storageQueue('runsPoison', {
  queueName: RUN_POISON_QUEUE,
  connection: 'AzureWebJobsStorage',
  handler: startingInvocation(runPoisonHandler(getService)),
});
