param location string
param tags object
param workspaceId string
@description('E-mail addresses of the people on call, separated by commas. Empty = none.')
param email string
@description('Phone number for text messages, as country code and number: 46 701234567. Empty = none.')
param sms string
@secure()
@description('Webhook of the tool for people on call. Empty = none.')
param webhookUrl string
@description('E-mail addresses for alerts that can wait until working hours. Empty = those of the people on call.')
param workingHoursEmail string
@description('Spending per month at which the budget notifies, in the currency of the subscription. 0 = no budget.')
param monthlyBudget int
@description('First day of a month, such as 2026-12-01, from which the budget counts.')
param budgetStart string
@description('Tokens in 24 hours above which the alert token-budget fires.')
param dailyTokenBudget int
@description('Base URL of the links to the runbooks; ends with a slash. Empty = the path in the repository.')
param runbookBaseUrl string

// A rule fires when its query returns a row. The queries are .kql files.
var rules = [
  { name: 'error-rate-critical', runbook: 'error-rate', severity: 1, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/error-rate-critical.kql') }
  { name: 'error-rate-warning', runbook: 'error-rate', severity: 2, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/error-rate-warning.kql') }
  { name: 'slo-fast-burn', runbook: 'slo-burn', severity: 0, window: 'PT1H', every: 'PT5M', query: loadTextContent('../queries/slo-fast-burn.kql') }
  { name: 'slo-slow-burn', runbook: 'slo-burn', severity: 2, window: 'PT6H', every: 'PT15M', query: loadTextContent('../queries/slo-slow-burn.kql') }
  { name: 'latency-p99-critical', runbook: 'latency', severity: 1, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/latency-p99-critical.kql') }
  { name: 'latency-p99-warning', runbook: 'latency', severity: 2, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/latency-p99-warning.kql') }
  { name: 'memory-critical', runbook: 'resources', severity: 1, window: 'PT5M', every: 'PT5M', query: loadTextContent('../queries/memory-critical.kql') }
  { name: 'resource-exhaustion', runbook: 'resources', severity: 1, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/resource-exhaustion.kql') }
  { name: 'resource-pressure', runbook: 'resources', severity: 2, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/resource-pressure.kql') }
  { name: 'circuit-open', runbook: 'circuit-open', severity: 1, window: 'PT5M', every: 'PT5M', query: loadTextContent('../queries/circuit-open.kql') }
  { name: 'model-needs-operator', runbook: 'model-needs-operator', severity: 1, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/model-needs-operator.kql') }
  { name: 'model-throttled', runbook: 'model-throttled', severity: 2, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/model-throttled.kql') }
  { name: 'batch-poisoned', runbook: 'batch-poisoned', severity: 1, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/batch-poisoned.kql') }
  { name: 'batch-stalled', runbook: 'batch-stalled', severity: 1, window: 'PT30M', every: 'PT10M', query: loadTextContent('../queries/batch-stalled.kql') }
  { name: 'runs-poisoned', runbook: 'runs-poisoned', severity: 1, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/runs-poisoned.kql') }
  { name: 'runs-stalled', runbook: 'runs-stalled', severity: 1, window: 'PT30M', every: 'PT10M', query: loadTextContent('../queries/runs-stalled.kql') }
  { name: 'secrets-stale', runbook: 'secrets-stale', severity: 2, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/secrets-stale.kql') }
  { name: 'redis-away', runbook: 'redis-away', severity: 3, window: 'PT15M', every: 'PT5M', query: loadTextContent('../queries/redis-away.kql') }
  { name: 'log-cap-reached', runbook: 'log-cap', severity: 1, window: 'PT1H', every: 'PT15M', query: loadTextContent('../queries/log-cap-reached.kql') }
]

var pagedAddresses = filter(map(split(email, ','), address => trim(address)), address => !empty(address))
var waitingAddresses = filter(map(split(workingHoursEmail, ','), address => trim(address)), address => !empty(address))

// Severity 0 and 1. Every receiver is a parameter: provisioning replaces what was added in the portal.
resource oncall 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-oncall'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'oncall'
    enabled: true
    emailReceivers: [for (address, index) in pagedAddresses: { name: 'email-${index}', emailAddress: address, useCommonAlertSchema: true }]
    smsReceivers: empty(sms) ? [] : [{ name: 'sms', countryCode: first(split(sms, ' ')), phoneNumber: join(skip(split(sms, ' '), 1), '') }]
    webhookReceivers: empty(webhookUrl) ? [] : [{ name: 'webhook', serviceUri: webhookUrl, useCommonAlertSchema: true }]
  }
}

// Severity 2 and 3 wait until working hours.
resource workingHours 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-working-hours'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'workhours'
    enabled: true
    emailReceivers: [for (address, index) in (empty(waitingAddresses) ? pagedAddresses : waitingAddresses): { name: 'email-${index}', emailAddress: address, useCommonAlertSchema: true }]
  }
}

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = if (monthlyBudget > 0) {
  name: 'monthly'
  properties: {
    category: 'Cost'
    amount: monthlyBudget
    timeGrain: 'Monthly'
    timePeriod: { startDate: budgetStart }
    notifications: {
      spent80: { enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 80, thresholdType: 'Actual', contactEmails: [], contactGroups: [workingHours.id] }
      spent100: { enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Actual', contactEmails: [], contactGroups: [oncall.id] }
      forecast100: { enabled: true, operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Forecasted', contactEmails: [], contactGroups: [workingHours.id] }
    }
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for item in rules: {
    name: item.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: item.name
      description: 'Runbook: ${runbookBaseUrl}docs/runbooks/alerts/${item.runbook}.md'
      severity: item.severity
      enabled: true
      scopes: [workspaceId]
      windowSize: item.window
      evaluationFrequency: item.every
      autoMitigate: true
      // A new workspace has none of the tables yet.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: item.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [item.severity < 2 ? oncall.id : workingHours.id] }
    }
  }
]

resource tokens 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'token-budget'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'token-budget'
    description: 'Runbook: ${runbookBaseUrl}docs/runbooks/alerts/token-budget.md'
    severity: 2
    enabled: true
    scopes: [workspaceId]
    windowSize: 'P1D'
    evaluationFrequency: 'PT1H'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/token-budget.kql')
          metricMeasureColumn: 'tokens'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: dailyTokenBudget
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [workingHours.id] }
  }
}

// Announcements of Azure: outages of the region, retirements of models.
resource health 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'service-health'
  location: 'global'
  tags: tags
  properties: {
    description: 'Runbook: ${runbookBaseUrl}docs/runbooks/alerts/service-health.md'
    enabled: true
    scopes: [subscription().id]
    condition: { allOf: [{ field: 'category', equals: 'ServiceHealth' }] }
    actions: { actionGroups: [{ actionGroupId: workingHours.id }] }
  }
}

output actionGroupId string = oncall.id
