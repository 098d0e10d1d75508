import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleDeleteConversationItem } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsItemsDelete', {
  route: 'v1/conversations/{id}/items/{itemId}',
  methods: ['DELETE'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleDeleteConversationItem),
});
