param location string
param tags object
param workspaceId string

// One entry per panel. Each query is a .kql file of its own.
var panels = [
  { name: 'traffic', title: 'Requests and failures', visualization: 'timechart', query: loadTextContent('../panels/traffic.kql') }
  { name: 'latency', title: 'Latency of whole answers (ms)', visualization: 'timechart', query: loadTextContent('../panels/latency.kql') }
  { name: 'errors', title: 'Failures by code', visualization: 'table', query: loadTextContent('../panels/errors.kql') }
  { name: 'tokens', title: 'Tokens by model and direction', visualization: 'timechart', query: loadTextContent('../panels/tokens.kql') }
  { name: 'model-calls', title: 'Model calls by result', visualization: 'timechart', query: loadTextContent('../panels/model-calls.kql') }
  { name: 'batch', title: 'Batch: written and finished messages', visualization: 'timechart', query: loadTextContent('../panels/batch.kql') }
  { name: 'runs', title: 'Background: runs and deliveries by outcome', visualization: 'timechart', query: loadTextContent('../panels/runs.kql') }
  { name: 'resources', title: 'Busiest instance (share of CPU and memory)', visualization: 'timechart', query: loadTextContent('../panels/resources.kql') }
  { name: 'audit', title: 'Audit: requests, blocks and tokens by caller', visualization: 'table', query: loadTextContent('../panels/audit.kql') }
  { name: 'rollout', title: 'Versions in service', visualization: 'table', query: loadTextContent('../panels/rollout.kql') }
]

var timeRange = {
  type: 9
  name: 'range'
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        id: guid('agent', 'TimeRange')
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        type: 4
        isRequired: true
        value: { durationMs: 3600000 }
        typeSettings: {
          selectableValues: [{ durationMs: 3600000 }, { durationMs: 86400000 }, { durationMs: 604800000 }]
        }
      }
    ]
    style: 'pills'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
  }
}

var charts = map(panels, panel => {
  type: 3
  name: panel.name
  content: {
    version: 'KqlItem/1.0'
    title: panel.title
    query: panel.query
    size: 0
    timeContextFromParameter: 'TimeRange'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    visualization: panel.visualization
  }
})

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'agent')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Agent: traffic, errors, latency, tokens, batch'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: string({ version: 'Notebook/1.0', items: concat([timeRange], charts), fallbackResourceIds: [workspaceId] })
  }
}
