import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleMetrics } from '../shared/http/operations-handler.ts';
import { publicHandler } from '../shared/http/handler.ts';

app.http('metrics', {
  route: 'metrics',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: publicHandler(getService, handleMetrics),
});
