/** Columns of every table of Application Insights that name the app and instance of a row. */
const ORIGIN =
  'OperationId:string, AppRoleName:string, AppRoleInstance:string, AppVersion:string, ItemCount:int, Properties:dynamic';

/** The columns of the tables of a workspace that our queries may use. */
export const TABLES: Readonly<Record<string, string>> = {
  AppRequests: `TimeGenerated:datetime, Id:string, Name:string, Url:string, Success:bool, ResultCode:string, DurationMs:real, OperationName:string, ParentId:string, Measurements:dynamic, ${ORIGIN}`,
  AppDependencies: `TimeGenerated:datetime, Id:string, Target:string, DependencyType:string, Name:string, Data:string, Success:bool, ResultCode:string, DurationMs:real, ParentId:string, ${ORIGIN}`,
  AppMetrics: `TimeGenerated:datetime, Name:string, Sum:real, Min:real, Max:real, ${ORIGIN}`,
  AppTraces: `TimeGenerated:datetime, Message:string, SeverityLevel:int, ${ORIGIN}`,
  AppEvents: `TimeGenerated:datetime, Name:string, Measurements:dynamic, ${ORIGIN}`,
  AppExceptions: `TimeGenerated:datetime, ProblemId:string, ExceptionType:string, OuterMessage:string, SeverityLevel:int, ${ORIGIN}`,
  StorageQueueLogs:
    'TimeGenerated:datetime, OperationName:string, StatusText:string, StatusCode:string, DurationMs:real, Uri:string, AuthenticationType:string, CallerIpAddress:string, AccountName:string',
  _LogOperation:
    'TimeGenerated:datetime, Category:string, Operation:string, Detail:string, Level:string, Resource:string',
};
