import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { startingInvocation } from '../shared/http/worker-http-server.ts';
import { runQueueHandler } from '../shared/runs/create-runs.ts';
import { RUN_QUEUE } from '../shared/runs/storage-names.ts';

app.storageQueue('runs', {
  queueName: RUN_QUEUE,
  connection: 'AzureWebJobsStorage',
  handler: startingInvocation(runQueueHandler(getService)),
});
