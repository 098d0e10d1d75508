import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetConversationItem } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsItemsGet', {
  route: 'v1/conversations/{id}/items/{itemId}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetConversationItem),
});
