import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerBatch } from '../shared/http/batches-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('batchesGet', {
  route: 'v1/batches/{id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerBatch),
});
