import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleDeleteSession } from '../shared/http/sessions-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('sessionsDelete', {
  route: 'api/sessions/{id}',
  methods: ['DELETE'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleDeleteSession),
});
