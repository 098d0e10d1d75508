import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleDeleteConversationItem } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsItemsDelete', {
  route: 'v1/conversations/{id}/items/{itemId}',
  methods: ['DELETE'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleDeleteConversationItem),
});
