import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleCancelBatch } from '../shared/http/batches-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('batchesCancel', {
  route: 'v1/batches/{id}/cancel',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleCancelBatch),
});
