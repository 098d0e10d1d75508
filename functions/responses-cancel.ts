import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleCancelResponse } from '../shared/http/responses-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('responsesCancel', {
  route: 'v1/responses/{id}/cancel',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleCancelResponse),
});
