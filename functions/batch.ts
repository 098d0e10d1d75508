import { app } from '@azure/functions';
import { queueHandler } from '../shared/batch/queue-trigger.ts';
import { JOB_QUEUE } from '../shared/batch/storage-names.ts';
import { getService } from '../shared/composition-root.ts';
import { startingInvocation } from '../shared/http/worker-http-server.ts';

app.storageQueue('batch', {
  queueName: JOB_QUEUE,
  connection: 'AzureWebJobsStorage',
  handler: startingInvocation(queueHandler(getService)),
});
