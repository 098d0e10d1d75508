import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerBatchList } from '../shared/http/batches-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('batchesList', {
  route: 'v1/batches',
  methods: ['GET'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerBatchList),
});
