import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleCreateResponse } from '../shared/http/responses-handler.ts';
import { meteredHandler } from '../shared/http/admission.ts';

app.http('responsesCreate', {
  route: 'v1/responses',
  methods: ['POST'],
  authLevel: 'function',
  handler: meteredHandler(getService, handleCreateResponse),
});
