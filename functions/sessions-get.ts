import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetSession } from '../shared/http/sessions-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('sessionsGet', {
  route: 'api/sessions/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetSession),
});
