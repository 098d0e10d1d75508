import { isRetryable, type ErrorCode, type ServiceError } from '../errors.ts';

/** The only map from error codes to HTTP status and title. */
const PROBLEMS: Record<ErrorCode, readonly [status: number, title: string]> = {
  invalid_json: [400, 'The body is not JSON'],
  invalid_encoding: [400, 'The body is not UTF-8'],
  invalid_request: [400, 'The request is not valid'],
  previous_response_not_found: [400, 'The earlier response does not exist'],
  context_length_exceeded: [400, 'The conversation is too long for the model'],
  unauthorized: [401, 'Credentials are missing or wrong'],
  forbidden: [403, 'The caller may not use this service'],
  not_found: [404, 'Nothing is here'],
  session_not_found: [404, 'There is no such session'],
  request_timeout: [408, 'The request came too slowly'],
  session_busy: [409, 'Another run of this session is active'],
  idempotency_in_progress: [409, 'The first request with this key is not answered yet'],
  payload_too_large: [413, 'The body is too large'],
  context_too_long: [413, 'The conversation is too long for the model'],
  unsupported_media_type: [415, 'The body has a type that is not read here'],
  content_filtered: [422, 'The content was filtered'],
  guardrail_blocked: [422, 'A guardrail blocked the request or its answer'],
  idempotency_mismatch: [422, 'The key belongs to another request'],
  rate_limited: [429, 'Too many requests'],
  budget_exhausted: [429, 'The budget is used up'],
  upstream_rate_limited: [429, 'The model is at its rate limit'],
  internal: [500, 'The service failed'],
  upstream_invalid: [502, 'The model answered with something unreadable'],
  upstream_interrupted: [502, 'The model stopped in the middle of its answer'],
  upstream_misconfigured: [502, 'The model endpoint is not set up as expected'],
  upstream_unavailable: [503, 'The model is not available'],
  upstream_quota: [503, 'The quota of the model is used up'],
  upstream_auth: [503, 'The model refused the credentials of the service'],
  overloaded: [503, 'The service is at its limit'],
  config_unavailable: [503, 'The service is not configured'],
  storage_unavailable: [503, 'The storage of files and batches is not available'],
  upstream_timeout: [504, 'The model did not answer in time'],
};

/** The error body for every client: RFC 9457 and the error object that OpenAI clients read. */
interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly retryable: boolean;
  readonly requestId: string;
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: ErrorCode;
  };
}

/** The HTTP status of an error code. */
export function statusOf(code: ErrorCode): number {
  return PROBLEMS[code][0];
}

/** The body of an error response. */
export function toProblem(error: ServiceError, requestId: string): Problem {
  const [status, title] = PROBLEMS[error.code];
  return {
    type: 'about:blank',
    title,
    status,
    detail: error.message,
    instance: `urn:request:${requestId}`,
    retryable: isRetryable(error.code),
    requestId,
    error: {
      message: error.message,
      type: errorType(status),
      param: error.param ?? null,
      code: error.code,
    },
  };
}

/** The error types that OpenAI clients know. */
function errorType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
