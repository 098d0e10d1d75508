import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerChat } from '../shared/http/chat-handler.ts';
import { asMeteredHandler } from '../shared/http/admission.ts';

app.http('chat', {
  route: 'api/chat',
  methods: ['POST'],
  authLevel: 'function',
  handler: asMeteredHandler(getService, answerChat),
});
