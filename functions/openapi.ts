import { app } from '@azure/functions';
import { publicHandler } from '../shared/http/handler.ts';
import { handleOpenApi } from '../shared/http/page-handler.ts';
import { withoutService } from '../shared/http/operations-handler.ts';

app.http('openapi', {
  route: 'openapi.json',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: publicHandler(withoutService, handleOpenApi),
});
