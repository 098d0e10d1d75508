import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleCreateResponse } from '../shared/http/responses-handler.ts';
import { meteredHandler } from '../shared/http/admission.ts';

app.http('responsesCreate', {
  route: 'v1/responses',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: meteredHandler(getService, handleCreateResponse),
});
