import { app } from '@azure/functions';
import { handleUnknownRoute, withoutService } from '../shared/http/operations-handler.ts';
import { publicHandler } from '../shared/http/handler.ts';

// The platform tries routes in the order of their names, so this name must be the last one. It
// answers its home page itself.
app.http('unknownRoute', {
  route: '{*path:minlength(1)}',
  methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
  authLevel: 'anonymous',
  handler: publicHandler(withoutService, handleUnknownRoute),
});
