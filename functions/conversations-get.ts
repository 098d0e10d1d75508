import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleGetConversation } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsGet', {
  route: 'v1/conversations/{id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleGetConversation),
});
