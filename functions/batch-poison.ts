import { app, output } from '@azure/functions';
import { poisonQueueHandler } from '../shared/batch/queue-trigger.ts';
import { JOB_QUEUE, POISON_QUEUE } from '../shared/batch/storage-names.ts';
import { getService } from '../shared/composition-root.ts';
import { startingInvocation } from '../shared/http/worker-http-server.ts';

const connection = 'AzureWebJobsStorage';
const jobs = output.storageQueue({ queueName: JOB_QUEUE, connection });

app.storageQueue('batchPoison', {
  queueName: POISON_QUEUE,
  connection,
  extraOutputs: [jobs],
  handler: startingInvocation(poisonQueueHandler(getService, jobs)),
});
