import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleListInputItems } from '../shared/http/responses-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('responsesInputItems', {
  route: 'v1/responses/{id}/input_items',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleListInputItems),
});
