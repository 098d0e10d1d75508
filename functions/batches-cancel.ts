import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerBatchCancel } from '../shared/http/batches-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('batchesCancel', {
  route: 'v1/batches/{id}/cancel',
  methods: ['POST'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerBatchCancel),
});
