import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handlePage } from '../shared/http/page-handler.ts';
import { publicHandler } from '../shared/http/handler.ts';
import { withoutTelemetry } from '../shared/http/operations-handler.ts';

// The template of the empty path: the platform has no other one.
app.http('page', {
  route: '{root:maxlength(0)?}',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: publicHandler(withoutTelemetry(getService), handlePage),
});
