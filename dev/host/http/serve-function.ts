import { LOCAL } from '../host-log.ts';
import type { CallInput } from '../invoker.ts';
import { answerRpc } from './answer-rpc.ts';
import { forwardRequest, UNENDED } from './forward-request.ts';
import type { HttpCall, HttpContext } from './http-context.ts';
import {
  BodyTooLargeError,
  BodyTooSlowError,
  contentLengthOf,
  jsonTextOf,
  readBody,
} from './read-body.ts';
import { INVOCATION_HEADER } from './open-forward.ts';
import { joinHeader } from './request-headers.ts';
import { readQuery } from './request-target.ts';
import { rpcRequest } from './rpc-request.ts';
import { buildHttpMetadata } from './trigger-metadata.ts';

/** Calls a function for a request and sends its answer, in the way the app has chosen. */
export async function serveFunction(call: HttpCall, context: HttpContext): Promise<void> {
  const { response, headers, func } = call;
  // Without a host the platform cannot build the URL of the request and fails.
  if ((joinHeader(headers, 'host') ?? '') === '') return context.answers.send(response, 500);
  const body = await readAnnouncedBody(call, context);
  if (body === 'refused' || response.destroyed) return;
  if (headers.has(INVOCATION_HEADER)) {
    context.log(
      'error',
      LOCAL,
      `A client has sent the header ${INVOCATION_HEADER} to '${func.name}'. As on Azure it is forwarded in place of the host's own, so the request does not reach its invocation\n${UNENDED}`,
    );
  }
  const invocation = await context.invoker.begin(callFor(call, body));
  try {
    if (invocation.httpPort === undefined) await answerRpc(call, { invocation, context });
    else await forwardRequest(call, { invocation, context, body });
  } finally {
    invocation.end();
  }
}

/** The body when its length was announced: the binding reads it whole before the function runs. */
async function readAnnouncedBody(
  call: HttpCall,
  { answers, maxBody, timings }: HttpContext,
): Promise<Buffer | undefined | 'refused'> {
  const { response, headers } = call;
  if (contentLengthOf(headers) === 0) return undefined;
  try {
    return await readBody(call, { maxBody, timings });
  } catch (error) {
    if (error instanceof BodyTooLargeError || error instanceof BodyTooSlowError) {
      answers.send(response, 500, { headers: { Connection: 'close' } });
    }
    return 'refused';
  }
}

function callFor(call: HttpCall, body: Buffer | undefined): CallInput {
  const { headers, func, routeValues, target } = call;
  const name = func.triggerName;
  return {
    functionName: func.name,
    input: (httpPort) => ({
      name,
      data: { http: httpPort === undefined ? rpcRequest(call, body) : {} },
    }),
    triggerMetadata: buildHttpMetadata({
      headers,
      query: readQuery(target.search),
      body: body === undefined ? undefined : jsonTextOf(body),
      routeValues,
    }),
  };
}
