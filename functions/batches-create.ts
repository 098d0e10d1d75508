import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerBatchCreation } from '../shared/http/batches-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('batchesCreate', {
  route: 'v1/batches',
  methods: ['POST'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerBatchCreation),
});
