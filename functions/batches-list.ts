import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleListBatches } from '../shared/http/batches-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('batchesList', {
  route: 'v1/batches',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleListBatches),
});
