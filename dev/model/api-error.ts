export interface ApiErrorDetails {
  readonly type?: string;
  readonly param?: string;
  readonly code?: string;
}

/** An error that the caller receives in OpenAI's error format. */
export class ApiError extends Error {
  readonly status: number;
  readonly details: ApiErrorDetails;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.details = details;
  }
}

/** The JSON body of an error, with every field that clients read. */
export function errorBody(message: string, details: ApiErrorDetails = {}): string {
  const { type = 'invalid_request_error', param = null, code = null } = details;
  return JSON.stringify({ error: { message, type, param, code } });
}
