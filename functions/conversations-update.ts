import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleUpdateConversation } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsUpdate', {
  route: 'v1/conversations/{id}',
  methods: ['POST'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleUpdateConversation),
});
