/** Settings that Flex Consumption refuses or goes astray with. */
const FORBIDDEN =
  /^(FUNCTIONS_WORKER_RUNTIME.*|FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_MAX_HTTP_CONCURRENCY|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_NODE_DEFAULT_VERSION|WEBSITE_CONTENT.*|WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT|WEBSITE_VNET_ROUTE_ALL|WEBSITE_TIME_ZONE|TZ|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD)$/i;
const PAIR = /^\s*[A-Za-z][\w.:-]*\s*=[^"\\]*$/;

/** What is wrong with a plan and can be seen without asking Azure; by name, never by value. */
export function planProblems(setting) {
  return [
    ...extraSettings(setting('EXTRA_APP_SETTINGS')),
    ...modelFallbacks(setting('MODEL_FALLBACKS')),
    ...corsOrigins(setting('CORS_ORIGINS')),
    ...(isOn(setting('ZONE_REDUNDANT')) && Number(setting('ALWAYS_READY') ?? 0) < 2
      ? ['ZONE_REDUNDANT needs ALWAYS_READY of at least 2']
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

/** What works, but not as most people would want. */
export function planWarnings(setting) {
  return [
    ...(setting('ALERT_EMAIL') === undefined
      ? ['ALERT_EMAIL is empty: alerts will fire and nobody will be told']
      : []),
    ...(setting('KEY_VAULT_PURGE_PROTECTION') === 'false'
      ? ['KEY_VAULT_PURGE_PROTECTION is off: a deleted vault can be destroyed at once']
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
      .map((name) => `EXTRA_APP_SETTINGS must not hold ${name}: the plan does not allow it`),
  ];
}

/** App settings can be read by whoever may look at the app: no key goes there. */
function modelFallbacks(text = '[]') {
  let endpoints;
  try {
    endpoints = JSON.parse(text);
  } catch {
    return ['MODEL_FALLBACKS must be a JSON array'];
  }
  if (!Array.isArray(endpoints)) return ['MODEL_FALLBACKS must be a JSON array'];
  return endpoints.some((endpoint) => endpoint?.apiKey !== undefined)
    ? ['MODEL_FALLBACKS must not hold an apiKey: store it in the vault and name it as apiKeySecret']
    : [];
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
