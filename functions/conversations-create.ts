import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleCreateConversation } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsCreate', {
  route: 'v1/conversations',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleCreateConversation),
});
