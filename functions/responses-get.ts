import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetResponse } from '../shared/http/responses-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('responsesGet', {
  route: 'v1/responses/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetResponse),
});
