import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { meteredHandler } from '../shared/http/admission.ts';
import { handleMcp } from '../shared/http/mcp-handler.ts';

app.http('mcp', {
  route: 'mcp',
  methods: ['POST', 'GET', 'DELETE'],
  authLevel: routeAuthLevel(),
  handler: meteredHandler(getService, handleMcp),
});
