import { app } from '@azure/functions';
import { closeService } from '../shared/composition-root.ts';

app.hook.appTerminate(closeService);
