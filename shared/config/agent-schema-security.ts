import * as z from 'zod';
import { choice, flag, HOST, integer, list, optionalInteger, ratio } from './schema-fields.ts';

/** `redact` replaces what is found, `block` refuses the request or ends the answer. */
const PII_ACTIONS = ['off', 'observe', 'redact', 'block'] as const;
const SCORE_ACTIONS = ['off', 'observe', 'block'] as const;
const PII_TYPES = ['EMAIL', 'PHONE', 'CREDIT_CARD', 'SSN', 'IBAN', 'IP'] as const;

function onError(fallback: 'closed' | 'open', guardrail: string) {
  return choice({
    choices: ['closed', 'open'],
    default: fallback,
    purpose: `Whether a run ends (closed) or continues (open) if ${guardrail} fails or is late.`,
  });
}

/** What a request may contain at all. Checked first. */
const inputValidation = z.strictObject({
  max_message_chars: optionalInteger({
    min: 1,
    max: 4_194_304,
    unit: 'characters',
    purpose: 'Maximum length of one message.',
  }),
  max_total_chars: optionalInteger({
    min: 1,
    max: 4_194_304,
    unit: 'characters',
    purpose: 'Maximum length of all messages of a request.',
  }),
  max_messages: optionalInteger({
    min: 1,
    max: 10_000,
    unit: 'messages',
    purpose: 'Maximum length of the conversation of a request.',
  }),
  max_depth: optionalInteger({
    min: 1,
    max: 1_000,
    unit: 'levels',
    purpose: 'Maximum nesting of tool definitions, schemas and arguments of tool calls.',
  }),
  scripts: list({
    item: z.string().refine(isScript),
    expected: 'the name of a Unicode script, such as Latin or Cyrillic',
    maxItems: 50,
    purpose: 'The scripts in which messages may be written; an empty list means all.',
  }),
  max_other_letters: integer({
    default: 0,
    min: 0,
    max: 100_000,
    unit: 'letters',
    purpose: 'Letters of other scripts that one message may contain.',
  }),
  blocked_patterns: list({
    item: z.string().min(1).max(1_000),
    expected: 'a regular expression in RE2 syntax, which takes linear time',
    maxItems: 100,
    purpose: 'Topics that are refused: a message that matches one of the patterns, in any case.',
  }),
  attachments: choice({
    choices: ['any', 'listed', 'none'],
    default: 'any',
    purpose: 'Which images a message may have: any, those of attachment_types, or none.',
  }),
  attachment_types: list({
    item: z.string().regex(/^(?:url|[a-z]{1,32}\/(?:\*|[a-z0-9.+-]{1,64}))$/),
    expected: 'a media type such as image/png or image/*, or url for an address on the web',
    maxItems: 50,
    purpose: 'The types of images that are accepted while attachments is listed.',
  }),
  on_error: onError('closed', 'the validation'),
});

/** Detection of e-mail addresses, phone, card and social security numbers, IBANs, IP addresses. */
const piiDetection = z.strictObject({
  input: choice({
    choices: PII_ACTIONS,
    default: 'off',
    purpose: 'What happens to personal data in messages before the model reads them.',
  }),
  output: choice({
    choices: PII_ACTIONS,
    default: 'off',
    purpose: 'What happens to personal data in answers before the client reads them.',
  }),
  tool_results: choice({
    choices: PII_ACTIONS,
    default: 'off',
    purpose: 'What happens to personal data in tool results before the model reads them.',
  }),
  logs: choice({
    choices: PII_ACTIONS,
    default: 'redact',
    purpose:
      'What happens to personal data in log fields; block replaces the whole field. Secrets are always redacted.',
  }),
  types: list({
    item: z.enum(PII_TYPES),
    expected: `one of ${PII_TYPES.join(', ')}`,
    maxItems: PII_TYPES.length,
    purpose: 'The types that are detected in runs; an empty list means all.',
  }),
  restore_in_tools: list({
    item: z.string().regex(/^[\w-]{1,64}$/),
    expected: 'the name of a tool of the agent',
    maxItems: 100,
    purpose:
      'Own tools that receive the values of placeholders in their arguments; the others receive the placeholders.',
  }),
  on_error: onError('closed', 'the detection'),
});

/** Detection of attempts to take over the instructions of the agent. */
const promptInjection = z.strictObject({
  user: choice({
    choices: SCORE_ACTIONS,
    default: 'off',
    purpose: 'What happens to messages of the user whose score reaches user_threshold.',
  }),
  user_threshold: ratio({
    default: 0.5,
    purpose: 'The score from which a message of the user counts as an attack.',
  }),
  documents: choice({
    choices: SCORE_ACTIONS,
    default: 'off',
    purpose:
      'What happens to tool results whose score reaches document_threshold. observe marks them for the model; block keeps them from it.',
  }),
  document_threshold: ratio({
    default: 0.5,
    purpose: 'The score from which a tool result counts as an attack.',
  }),
  prompt_shields: flag({
    default: false,
    purpose:
      'Ask Prompt Shields of Azure AI Content Safety too: a text is an attack if either finds one. Needs AZURE_CONTENT_SAFETY_ENDPOINT.',
  }),
  prompt_shields_timeout_ms: integer({
    default: 1_000,
    min: 10,
    max: 30_000,
    unit: 'milliseconds',
    purpose: 'Time limit of Prompt Shields; after it the local score alone decides.',
  }),
  on_error: onError('open', 'the detection'),
});

/** Rules for answers, and for arguments of tool calls, which leave the service too. */
const output = z.strictObject({
  canary: choice({
    choices: SCORE_ACTIONS,
    default: 'off',
    purpose:
      'What happens to answers that contain the marker of the system prompt, a long passage of it, or one of canary_texts, also encoded.',
  }),
  canary_texts: list({
    item: z.string().min(6).max(200),
    expected: 'text of 6 to 200 characters',
    maxItems: 50,
    purpose: 'Texts that must never leave, such as a code name in the instructions.',
  }),
  secrets: choice({
    choices: PII_ACTIONS,
    default: 'off',
    purpose: 'What happens to keys, tokens and passwords in answers.',
  }),
  links: choice({
    choices: PII_ACTIONS,
    default: 'off',
    purpose: 'What happens to links in answers; redact keeps their text.',
  }),
  images: choice({
    choices: PII_ACTIONS,
    default: 'off',
    purpose: 'What happens to images in answers: a client that shows one sends its address.',
  }),
  allowed_hosts: list({
    item: z.string().max(253).regex(HOST),
    expected: 'a DNS name in lower case, or *.example.com for all names below example.com',
    maxItems: 100,
    purpose: 'The hosts to which links and images may point.',
  }),
  on_error: onError('closed', 'a rule'),
});

/** The audit log. */
const audit = z.strictObject({
  enabled: flag({
    default: true,
    purpose: 'Write one audit line for each request of an identified caller and each batch item.',
  }),
});

/** Guardrails, in the order in which they run, and the audit log. */
export const security = z.strictObject({
  input_validation: inputValidation,
  pii_detection: piiDetection,
  prompt_injection: promptInjection,
  output,
  audit,
});

function isScript(name: string): boolean {
  if (!/^[A-Za-z_]{2,40}$/.test(name)) return false;
  try {
    return new RegExp(`\\p{Script=${name}}`, 'u').source !== '';
  } catch {
    return false;
  }
}
