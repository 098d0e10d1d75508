import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleReady, withoutTelemetry } from '../shared/http/operations-handler.ts';
import { publicHandler } from '../shared/http/handler.ts';

app.http('healthReady', {
  route: 'health/ready',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: publicHandler(withoutTelemetry(getService), handleReady),
});
