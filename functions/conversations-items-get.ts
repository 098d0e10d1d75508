import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleGetConversationItem } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsItemsGet', {
  route: 'v1/conversations/{id}/items/{itemId}',
  methods: ['GET'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleGetConversationItem),
});
