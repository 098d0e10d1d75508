import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleCreateConversation } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsCreate', {
  route: 'v1/conversations',
  methods: ['POST'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleCreateConversation),
});
