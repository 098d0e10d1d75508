import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleDeleteConversation } from '../shared/http/conversations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('conversationsDelete', {
  route: 'v1/conversations/{id}',
  methods: ['DELETE'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleDeleteConversation),
});
