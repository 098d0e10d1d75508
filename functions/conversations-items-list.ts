import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleListConversationItems } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsItemsList', {
  route: 'v1/conversations/{id}/items',
  methods: ['GET'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleListConversationItems),
});
