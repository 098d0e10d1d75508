import type { HttpHandler } from '@azure/functions';
import { authenticatedHandler, type CallerHandler, meteredHandler } from './admission.ts';
import type { MeteredHandler } from './admission.ts';
import {
  type BatchesDependencies,
  handleCancelBatch,
  handleCreateBatch,
  handleGetBatch,
  handleListBatches,
  handleRetryBatch,
} from './batches-handler.ts';
import { chatHandler } from './chat-handler.ts';
import {
  handleAddConversationItems,
  handleCreateConversation,
  handleDeleteConversation,
  handleDeleteConversationItem,
  handleGetConversation,
  handleGetConversationItem,
  handleListConversationItems,
  handleUpdateConversation,
} from './conversations-handler.ts';
import {
  type FilesDependencies,
  handleDeleteFile,
  handleGetFile,
  handleGetFileContent,
  handleListFiles,
  handleUploadFile,
} from './files-handler.ts';
import { publicHandler } from './handler.ts';
import {
  handleGetModel,
  handleListModels,
  handleUnknownRoute,
  type ModelsDependencies,
  withoutService,
} from './operations-handler.ts';
import {
  handleCancelResponse,
  handleCountInputTokens,
  handleCreateResponse,
  handleDeleteResponse,
  handleGetResponse,
  handleListInputItems,
  type ResponsesDependencies,
} from './responses-handler.ts';

type AzureOpenAiDependencies = BatchesDependencies &
  Parameters<typeof handleCreateConversation>[1] &
  FilesDependencies &
  ModelsDependencies &
  ResponsesDependencies;
type GetService = () => Promise<AzureOpenAiDependencies>;

interface AzureRoute {
  readonly method: string;
  /** The path after `/v1/`, as the trigger of the same route has it. */
  readonly path: string;
  readonly open: (getService: GetService, route: string) => HttpHandler;
}

/** A route that runs the agent. */
function metered(
  method: string,
  path: string,
  handle: MeteredHandler<AzureOpenAiDependencies>,
): AzureRoute {
  const open: AzureRoute['open'] = (getService, route) =>
    meteredHandler(getService, handle, { route });
  return { method, path, open };
}

function authenticated(
  method: string,
  path: string,
  handle: CallerHandler<AzureOpenAiDependencies>,
): AzureRoute {
  const open: AzureRoute['open'] = (getService, route) =>
    authenticatedHandler(getService, handle, { route });
  return { method, path, open };
}

/** Every route below `/v1/`. A test compares them with the triggers. */
export const AZURE_ROUTES: readonly AzureRoute[] = [
  metered('POST', 'chat/completions', chatHandler('openai.chat-completions')),
  metered('POST', 'responses', handleCreateResponse),
  authenticated('POST', 'responses/input_tokens', handleCountInputTokens),
  authenticated('GET', 'responses/{id}', handleGetResponse),
  authenticated('DELETE', 'responses/{id}', handleDeleteResponse),
  authenticated('POST', 'responses/{id}/cancel', handleCancelResponse),
  authenticated('GET', 'responses/{id}/input_items', handleListInputItems),
  authenticated('POST', 'conversations', handleCreateConversation),
  authenticated('DELETE', 'conversations/{id}', handleDeleteConversation),
  authenticated('GET', 'conversations/{id}', handleGetConversation),
  authenticated('POST', 'conversations/{id}/items', handleAddConversationItems),
  authenticated('DELETE', 'conversations/{id}/items/{itemId}', handleDeleteConversationItem),
  authenticated('GET', 'conversations/{id}/items/{itemId}', handleGetConversationItem),
  authenticated('GET', 'conversations/{id}/items', handleListConversationItems),
  authenticated('POST', 'conversations/{id}', handleUpdateConversation),
  authenticated('GET', 'models', handleListModels),
  authenticated('GET', 'models/{id}', handleGetModel),
  authenticated('POST', 'files', handleUploadFile),
  authenticated('GET', 'files', handleListFiles),
  authenticated('GET', 'files/{id}', handleGetFile),
  authenticated('DELETE', 'files/{id}', handleDeleteFile),
  authenticated('GET', 'files/{id}/content', handleGetFileContent),
  authenticated('POST', 'batches', handleCreateBatch),
  authenticated('GET', 'batches', handleListBatches),
  authenticated('GET', 'batches/{id}', handleGetBatch),
  authenticated('POST', 'batches/{id}/cancel', handleCancelBatch),
  authenticated('POST', 'batches/{id}/retry-failed', handleRetryBatch),
];

/** `v1/`, and the segment that names a deployment. The name is free, as `model` of a body is. */
const PREFIX = /^(v1\/)?(deployments\/[^/]+\/)?/;

/**
 * The paths of Azure OpenAI: `/openai/v1/…`, `/openai/deployments/{deployment}/…` and `/openai/…`
 * with a date in `api-version`. Each has the handlers of its route below `/v1/`; no version changes
 * them, so `api-version` is not read.
 */
export function azureOpenAiHandler(getService: GetService): HttpHandler {
  const answerUnknown = publicHandler(withoutService, handleUnknownRoute);
  return (request, invocation) => {
    const path = request.params['path'] ?? '';
    const [prefix, version = '', deployment] = PREFIX.exec(path) ?? [''];
    const found = findRoute(request.method, path.slice(prefix.length));
    if (found === undefined) return answerUnknown(request, invocation);
    Object.assign(request.params, found.params);
    const named = deployment === undefined ? '' : 'deployments/{deployment}/';
    const route = `/openai/${version}${named}${found.route.path}`;
    return found.route.open(getService, route)(request, invocation);
  };
}

interface FoundRoute {
  readonly route: AzureRoute;
  readonly params: Readonly<Record<string, string>>;
}

const PARAMETER = /^\{(\w+)\}$/;

function findRoute(method: string, path: string): FoundRoute | undefined {
  const segments = path.split('/');
  for (const route of AZURE_ROUTES) {
    const names = route.path.split('/');
    if (route.method !== method || names.length !== segments.length) continue;
    const pairs = names.map((name, index) => [name, segments[index] ?? ''] as const);
    const isMatch = pairs.every(([name, text]) =>
      PARAMETER.test(name) ? text !== '' : text === name,
    );
    if (!isMatch) continue;
    const params = pairs.flatMap(([name, text]) => {
      const [, parameter] = PARAMETER.exec(name) ?? [];
      return parameter === undefined ? [] : [[parameter, text] as const];
    });
    return { route, params: Object.fromEntries(params) };
  }
  return undefined;
}
