import { app } from '@azure/functions';
import { dropMessageFromTriggerMetadata } from '../shared/batch/queue-trigger.ts';
import { sendResponsesDirectly } from '../shared/http/library-response.ts';
import { protectWorkerHttpServer } from '../shared/http/worker-http-server.ts';

protectWorkerHttpServer();
app.setup({
  enableHttpStream: true,
  // Where the app sends its own log lines, the host must not send them a second time.
  capabilities: { WorkerOpenTelemetryEnabled: true },
});
dropMessageFromTriggerMetadata();
sendResponsesDirectly();
