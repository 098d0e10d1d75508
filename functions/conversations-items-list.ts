import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleListConversationItems } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsItemsList', {
  route: 'v1/conversations/{id}/items',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleListConversationItems),
});
