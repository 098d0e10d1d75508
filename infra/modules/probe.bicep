param location string
param tags object
param componentId string
param healthUrl string
param actionGroupId string
param runbookBaseUrl string

resource probe 'Microsoft.Insights/webtests@2022-06-15' = {
  name: 'probe-health'
  location: location
  tags: union(tags, { 'hidden-link:${componentId}': 'Resource' })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: 'probe-health'
    Name: 'probe-health'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [{ Id: 'us-va-ash-azr' }, { Id: 'emea-nl-ams-azr' }, { Id: 'apac-sg-sin-azr' }]
    // GET, because the platform answers HEAD with 404.
    Request: { RequestUrl: healthUrl, HttpVerb: 'GET', ParseDependentRequests: false }
    ValidationRules: { ExpectedHttpStatusCode: 200, SSLCheck: true, SSLCertRemainingLifetimeCheck: 7 }
  }
}

resource down 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'service-down'
  location: 'global'
  tags: tags
  properties: {
    description: 'Two of three locations get no answer. Runbook: ${runbookBaseUrl}docs/runbooks/alerts/service-down.md'
    severity: 0
    enabled: true
    scopes: [probe.id, componentId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: probe.id
      componentId: componentId
      failedLocationCount: 2
    }
    actions: [{ actionGroupId: actionGroupId }]
  }
}
