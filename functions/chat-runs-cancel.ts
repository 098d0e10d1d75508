import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';
import { handleCancelChatRun } from '../shared/http/background-chat.ts';

app.http('chatRunsCancel', {
  route: 'api/chat/{id}/cancel',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleCancelChatRun),
});
