import { readErrorBody } from './error-body.ts';

/** The two spellings of "at most so many tokens"; each is an error somewhere. */
export type TokenLimitName = 'max_completion_tokens' | 'max_tokens';

/** Reasoning models know only the new name, older compatible servers only the old one. */
export function firstTokenLimitName(endpoint: {
  readonly kind: 'openai' | 'azure';
  readonly baseUrl: string;
}): TokenLimitName {
  const isOfficial =
    endpoint.kind === 'azure' || URL.parse(endpoint.baseUrl)?.hostname === 'api.openai.com';
  return isOfficial ? 'max_completion_tokens' : 'max_tokens';
}

export function otherTokenLimitName(name: TokenLimitName): TokenLimitName {
  return name === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
}

/** Whether a 400 complains about the name itself, not about the number behind it. */
export function isTokenLimitNameRefused(error: unknown, name: TokenLimitName): boolean {
  const { code, param, message } = readErrorBody(error);
  const isNamed = param === name || new RegExp(`\\b${name}\\b`).test(message);
  const isUnknown = /unsupported|not supported|unknown|unrecognized|not permitted|unexpected/i;
  return isNamed && (isUnknown.test(code) || isUnknown.test(message));
}
