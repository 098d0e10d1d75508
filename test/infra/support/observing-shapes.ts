const NAMED = { 'name!': 'string', 'location!': 'string', tags: 'object' } as const;
const SPANS = ['PT1M', 'PT5M', 'PT10M', 'PT15M', 'PT30M', 'PT1H', 'PT6H', 'P1D'] as const;
const SWITCHED = (name: string) =>
  ({
    each: { [name]: 'string', categoryGroup: ['audit', 'allLogs'], 'enabled!': 'bool' },
  }) as const;

const NOTIFICATION = {
  'enabled!': 'bool',
  'operator!': ['EqualTo', 'GreaterThan', 'GreaterThanOrEqualTo'],
  'threshold!': 'int',
  thresholdType: ['Actual', 'Forecasted'],
  'contactEmails!': { each: 'string' },
  contactGroups: { each: 'string' },
} as const;

/** Workspace, budget, Application Insights, alerts, probe, workbook and diagnostic settings. */
export const OBSERVING_SHAPES = {
  'Microsoft.OperationalInsights/workspaces@2025-02-01': {
    ...NAMED,
    'properties!': {
      sku: { 'name!': ['PerGB2018'] },
      'retentionInDays!': 'int',
      workspaceCapping: { 'dailyQuotaGb!': 'int' },
      features: {
        disableLocalAuth: 'bool',
        enableLogAccessUsingOnlyResourcePermissions: 'bool',
      },
    },
  },
  'Microsoft.OperationalInsights/workspaces/tables@2025-02-01': {
    'name!': 'string',
    'properties!': {
      plan: ['Analytics', 'Basic'],
      'retentionInDays!': 'int',
      totalRetentionInDays: 'int',
    },
  },
  'Microsoft.Insights/components@2020-02-02': {
    ...NAMED,
    'kind!': 'string',
    'properties!': {
      'Application_Type!': ['web', 'other'],
      'WorkspaceResourceId!': 'string',
      IngestionMode: ['LogAnalytics'],
      'DisableLocalAuth!': 'bool',
    },
  },
  'Microsoft.Insights/diagnosticSettings@2021-05-01-preview': {
    'name!': 'string',
    'properties!': {
      'workspaceId!': 'string',
      logAnalyticsDestinationType: ['Dedicated'],
      logs: SWITCHED('category'),
      metrics: SWITCHED('category'),
    },
  },
  'Microsoft.Insights/actionGroups@2023-01-01': {
    ...NAMED,
    'location!': ['global'],
    'properties!': {
      'groupShortName!': 'string',
      'enabled!': 'bool',
      emailReceivers: {
        each: { 'name!': 'string', 'emailAddress!': 'string', useCommonAlertSchema: 'bool' },
      },
      smsReceivers: {
        each: { 'name!': 'string', 'countryCode!': 'string', 'phoneNumber!': 'string' },
      },
      webhookReceivers: {
        each: { 'name!': 'string', 'serviceUri!': 'string', useCommonAlertSchema: 'bool' },
      },
    },
  },
  'Microsoft.Consumption/budgets@2023-11-01': {
    'name!': 'string',
    'properties!': {
      'category!': ['Cost'],
      'amount!': 'int',
      'timeGrain!': ['Monthly', 'Quarterly', 'Annually'],
      'timePeriod!': { 'startDate!': 'string', endDate: 'string' },
      notifications: { spent80: NOTIFICATION, spent100: NOTIFICATION, forecast100: NOTIFICATION },
    },
  },
  'Microsoft.Insights/scheduledQueryRules@2023-12-01': {
    ...NAMED,
    kind: ['LogAlert'],
    'properties!': {
      displayName: 'string',
      'description!': 'string',
      'severity!': 'int',
      'enabled!': 'bool',
      'scopes!': { each: 'string' },
      'windowSize!': SPANS,
      'evaluationFrequency!': SPANS,
      autoMitigate: 'bool',
      skipQueryValidation: 'bool',
      'criteria!': {
        'allOf!': {
          each: {
            'query!': 'string',
            metricMeasureColumn: 'string',
            'timeAggregation!': ['Count', 'Average', 'Minimum', 'Maximum', 'Total'],
            'operator!': ['GreaterThan', 'GreaterThanOrEqual', 'LessThan', 'LessThanOrEqual'],
            'threshold!': 'int',
            failingPeriods: {
              'numberOfEvaluationPeriods!': 'int',
              'minFailingPeriodsToAlert!': 'int',
            },
          },
        },
      },
      'actions!': { 'actionGroups!': { each: 'string' } },
    },
  },
  'Microsoft.Insights/metricAlerts@2018-03-01': {
    ...NAMED,
    'location!': ['global'],
    'properties!': {
      'description!': 'string',
      'severity!': 'int',
      'enabled!': 'bool',
      'scopes!': { each: 'string' },
      'evaluationFrequency!': SPANS,
      'windowSize!': SPANS,
      'criteria!': {
        'odata.type!': ['Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'],
        'webTestId!': 'string',
        'componentId!': 'string',
        'failedLocationCount!': 'int',
      },
      'actions!': { each: { 'actionGroupId!': 'string' } },
    },
  },
  'Microsoft.Insights/activityLogAlerts@2020-10-01': {
    ...NAMED,
    'location!': ['global'],
    'properties!': {
      'description!': 'string',
      'enabled!': 'bool',
      'scopes!': { each: 'string' },
      'condition!': { 'allOf!': { each: { 'field!': 'string', 'equals!': 'string' } } },
      'actions!': { 'actionGroups!': { each: { 'actionGroupId!': 'string' } } },
    },
  },
  'Microsoft.Insights/webtests@2022-06-15': {
    ...NAMED,
    'kind!': ['standard', 'ping', 'multistep'],
    'properties!': {
      'SyntheticMonitorId!': 'string',
      'Name!': 'string',
      'Kind!': ['standard', 'ping', 'multistep'],
      'Enabled!': 'bool',
      Frequency: 'int',
      Timeout: 'int',
      RetryEnabled: 'bool',
      'Locations!': { each: { 'Id!': 'string' } },
      'Request!': { 'RequestUrl!': 'string', HttpVerb: ['GET'], ParseDependentRequests: 'bool' },
      'ValidationRules!': {
        'ExpectedHttpStatusCode!': 'int',
        SSLCheck: 'bool',
        SSLCertRemainingLifetimeCheck: 'int',
      },
    },
  },
  'Microsoft.Insights/workbooks@2023-06-01': {
    ...NAMED,
    kind: ['shared'],
    'properties!': {
      'displayName!': 'string',
      'category!': 'string',
      sourceId: 'string',
      'serializedData!': 'string',
    },
  },
} as const;
