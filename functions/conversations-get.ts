import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetConversation } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsGet', {
  route: 'v1/conversations/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetConversation),
});
