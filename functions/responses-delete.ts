import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleDeleteResponse } from '../shared/http/responses-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('responsesDelete', {
  route: 'v1/responses/{id}',
  methods: ['DELETE'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleDeleteResponse),
});
