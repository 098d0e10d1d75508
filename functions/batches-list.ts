import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleListBatches } from '../shared/http/batches-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('batchesList', {
  route: 'v1/batches',
  methods: ['GET'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleListBatches),
});
