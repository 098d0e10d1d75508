import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetModel } from '../shared/http/operations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('modelsGet', {
  route: 'v1/models/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetModel),
});
