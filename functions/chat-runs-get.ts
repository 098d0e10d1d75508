import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';
import { handleGetChatRun } from '../shared/http/background-chat.ts';

app.http('chatRunsGet', {
  route: 'api/chat/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetChatRun),
});
