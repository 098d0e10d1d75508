/** Settings that Flex Consumption rejects or does not support. */
const FORBIDDEN =
  /^(FUNCTIONS_WORKER_RUNTIME.*|FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_MAX_HTTP_CONCURRENCY|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_NODE_DEFAULT_VERSION|WEBSITE_CONTENT.*|WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT|WEBSITE_VNET_ROUTE_ALL|WEBSITE_TIME_ZONE|TZ|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD)$/i;
/** Without Easy Auth nothing removes the header that a client sent. */
const TRUSTS_PRINCIPAL = /(?:^|;)\s*AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL\s*=\s*true\s*(?:;|$)/i;
const PAIR = /^\s*[A-Za-z][\w.:-]*\s*=[^"\\]*$/;

/** Problems in the settings that show without Azure. They contain names, never values. */
export function planProblems(setting) {
  return [
    ...extraSettings(setting('EXTRA_APP_SETTINGS')),
    ...modelFallbacks(setting('MODEL_FALLBACKS')),
    ...corsOrigins(setting('CORS_ORIGINS')),
    ...alertReceivers(setting),
    ...(isOn(setting('ZONE_REDUNDANT')) && Number(setting('ALWAYS_READY') ?? 0) < 2
      ? ['ZONE_REDUNDANT needs ALWAYS_READY of at least 2']
      : []),
    ...(setting('AUTH_CLIENT_ID') === undefined
      ? ['AUTH_ALLOWED_APPLICATIONS', 'AUTH_APP_ROLE']
          .filter((name) => setting(name) !== undefined)
          .map((name) => `${name} needs AUTH_CLIENT_ID`)
      : []),
    ...(setting('RUNBOOK_BASE_URL')?.endsWith('/') === false
      ? ['RUNBOOK_BASE_URL must end with a slash']
      : []),
    ...(setting('UPSTASH_REDIS_REST_TOKEN') !== undefined &&
    setting('UPSTASH_REDIS_REST_URL') === undefined
      ? ['UPSTASH_REDIS_REST_TOKEN needs UPSTASH_REDIS_REST_URL']
      : []),
  ];
}

/** Settings that work, but are rarely intended. */
export function planWarnings(setting) {
  return [
    ...(setting('ALERT_EMAIL') === undefined
      ? ['ALERT_EMAIL is empty: alerts will have no receiver']
      : []),
    ...(setting('AUTH_CLIENT_ID') === undefined &&
    TRUSTS_PRINCIPAL.test(setting('EXTRA_APP_SETTINGS'))
      ? [
          'EXTRA_APP_SETTINGS trusts x-ms-client-principal without AUTH_CLIENT_ID: any client can forge it',
        ]
      : []),
    ...(setting('KEY_VAULT_PURGE_PROTECTION') === 'false'
      ? ['KEY_VAULT_PURGE_PROTECTION is off: a deleted vault can be purged at once']
      : []),
  ];
}

export function isOn(value) {
  return value?.toLowerCase() === 'true';
}

function extraSettings(text = '') {
  const pairs = text.split(';').filter((pair) => pair.trim() !== '');
  const names = pairs.map((pair) => pair.split('=')[0]?.trim() ?? '');
  return [
    ...(pairs.every((pair) => PAIR.test(pair))
      ? []
      : ['EXTRA_APP_SETTINGS must be NAME=value;NAME=value, without quotes and backslashes']),
    ...names
      .filter((name) => FORBIDDEN.test(name))
      .map((name) => `EXTRA_APP_SETTINGS must not contain ${name}: the plan does not allow it`),
  ];
}

/** A reader of the app can read its settings, so they must not contain a key. */
function modelFallbacks(text = '[]') {
  let endpoints;
  try {
    endpoints = JSON.parse(text);
  } catch {
    return ['MODEL_FALLBACKS must be a JSON array'];
  }
  if (!Array.isArray(endpoints)) return ['MODEL_FALLBACKS must be a JSON array'];
  return endpoints.some((endpoint) => endpoint?.apiKey !== undefined)
    ? [
        'MODEL_FALLBACKS must not contain an apiKey: store it in the vault and name it as apiKeySecret',
      ]
    : [];
}

function alertReceivers(setting) {
  const sms = setting('ALERT_SMS');
  const webhook = setting('ALERT_WEBHOOK_URL');
  const budget = Number(setting('MONTHLY_BUDGET') ?? 0);
  return [
    ...(sms === undefined || /^\d{1,3} \d{4,14}$/.test(sms)
      ? []
      : ['ALERT_SMS must be a country code and a number, such as 46 701234567']),
    ...(webhook === undefined || /^https:\/\/[^\s/]+/.test(webhook)
      ? []
      : ['ALERT_WEBHOOK_URL must be an https URL']),
    ...(Number.isInteger(budget) && budget >= 0
      ? []
      : ['MONTHLY_BUDGET must be a whole number, 0 for no budget']),
    // Azure refuses a budget that begins in the middle of a month.
    ...(budget > 0 && !/^\d{4}-(0[1-9]|1[0-2])-01$/.test(setting('BUDGET_START') ?? '')
      ? ['MONTHLY_BUDGET needs BUDGET_START, the first day of a month, such as 2026-12-01']
      : []),
  ];
}

function corsOrigins(text = '') {
  const wrong = text
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => origin !== '' && !/^https?:\/\/[^/*\s]+$/.test(origin));
  return wrong.length === 0
    ? []
    : ['CORS_ORIGINS must list origins such as https://app.example.com, and never *'];
}
