import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleListModels } from '../shared/http/operations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('models', {
  route: 'v1/models',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleListModels),
});
