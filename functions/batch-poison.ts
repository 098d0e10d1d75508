import { app } from '@azure/functions';
import { asQueueHandler } from '../shared/batch/queue-handler.ts';
import { POISON_QUEUE } from '../shared/batch/storage-names.ts';
import { getService } from '../shared/composition-root.ts';

app.storageQueue('batchPoison', {
  queueName: POISON_QUEUE,
  connection: 'AzureWebJobsStorage',
  handler: asQueueHandler(getService, (message, batch) => batch.explainPoison(message)),
});
