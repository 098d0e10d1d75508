/** Every error code that a caller may see. protocols/problem-details.ts maps them to HTTP statuses. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * Error code to whether the same request may succeed later. Callers, the queue and our own retry
 * policy all decide by this table.
 */
const ERROR_CODES = {
  invalid_json: false,
  invalid_encoding: false,
  invalid_request: false,
  unauthorized: false,
  forbidden: false,
  not_found: false,
  previous_response_not_found: false,
  session_not_found: false,
  request_timeout: true,
  session_busy: true,
  idempotency_in_progress: true,
  payload_too_large: false,
  context_too_long: false,
  /** `context_too_long` as OpenAI clients know it. */
  context_length_exceeded: false,
  unsupported_media_type: false,
  content_filtered: false,
  guardrail_blocked: false,
  idempotency_mismatch: false,
  rate_limited: true,
  budget_exhausted: true,
  upstream_rate_limited: true,
  internal: false,
  upstream_invalid: true,
  upstream_interrupted: true,
  upstream_misconfigured: false,
  upstream_unavailable: true,
  upstream_quota: false,
  upstream_auth: false,
  overloaded: true,
  config_unavailable: true,
  storage_unavailable: true,
  upstream_timeout: true,
} as const satisfies Record<string, boolean>;

/** All error codes, in the order of the table. */
export function errorCodes(): readonly ErrorCode[] {
  return Object.keys(ERROR_CODES).filter(isErrorCode);
}

export interface ServiceErrorOptions {
  /** The original error: for the log, never for the caller. */
  readonly cause?: unknown;
  /** Whole seconds after which a retry makes sense. */
  readonly retryAfterSeconds?: number | undefined;
  /** The invalid field of the request, as a dotted path. */
  readonly param?: string | undefined;
}

/** An error with a stable code and a message that is safe to show to the caller. */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly param: string | undefined;

  constructor(code: ErrorCode, message: string, options: ServiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ServiceError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.param = options.param;
  }
}

/** Whether a text from storage is an error code of this version. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

/** Whether the same request may succeed later. */
export function isRetryable(code: ErrorCode): boolean {
  return ERROR_CODES[code];
}

/** Converts any thrown value to a ServiceError; unexpected values become `internal` with fixed text. */
export function toServiceError(thrown: unknown): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  return new ServiceError('internal', 'The service failed to handle this request', {
    cause: thrown,
  });
}
