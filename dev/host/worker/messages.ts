import type { LogLevel } from '../host-log.ts';

/** A value on its way between host and worker, tagged with how it is written. */
export interface RpcData {
  readonly string?: string;
  readonly json?: string;
  readonly bytes?: Uint8Array;
  readonly int?: number;
  readonly double?: number;
  readonly http?: RpcHttp;
}

export interface NullableString {
  readonly value: string;
}

export interface RpcHttp {
  readonly url?: string;
  readonly method?: string;
  readonly nullableHeaders?: Readonly<Record<string, NullableString>>;
  readonly nullableQuery?: Readonly<Record<string, NullableString>>;
  readonly nullableParams?: Readonly<Record<string, NullableString>>;
  readonly body?: RpcData | null;
  readonly statusCode?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly RpcCookie[];
}

export interface RpcCookie {
  readonly name?: string;
  readonly value?: string;
  readonly domain?: NullableString;
  readonly path?: NullableString;
  readonly expires?: { readonly value?: { readonly seconds?: number } };
  readonly secure?: { readonly value?: boolean };
  readonly httpOnly?: { readonly value?: boolean };
  readonly sameSite?: string;
  readonly maxAge?: { readonly value?: number };
}

export interface NamedData {
  readonly name: string;
  readonly data: RpcData;
}

/** One call of a function, as the worker gets it. */
export interface InvocationRequest {
  readonly invocationId: string;
  readonly functionId: string;
  readonly inputData: readonly NamedData[];
  readonly triggerMetadata: Readonly<Record<string, RpcData>>;
  readonly traceContext: {
    readonly traceParent: string;
    readonly traceState: string;
    readonly attributes: Readonly<Record<string, string>>;
  };
}

/** The result of a call as the worker sends it. */
export type WorkerResult =
  | {
      readonly status: 'success';
      readonly outputData: readonly NamedData[];
      readonly returnValue?: RpcData | null | undefined;
      /** The handler returned neither a value nor an object. */
      readonly returnedNothing: boolean;
    }
  | {
      readonly status: 'failure';
      /** What was going on: before the handler, in it, or while its answer was sent. */
      readonly stage: 'arguments' | 'handler' | 'answer';
      readonly message: string;
    };

export interface BindingInfo {
  readonly type: string;
  readonly direction: string;
  readonly [option: string]: unknown;
}

export interface FunctionInfo {
  readonly name: string;
  readonly bindings: Readonly<Record<string, BindingInfo>>;
}

export type HostMessage =
  | { readonly type: 'load'; readonly appRoot: string }
  | { readonly type: 'invoke'; readonly request: InvocationRequest }
  | { readonly type: 'terminate' };

export type WorkerMessage =
  | {
      readonly type: 'loaded';
      readonly functions: readonly FunctionInfo[];
      readonly capabilities: Readonly<Record<string, string>>;
    }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'result'; readonly invocationId: string; readonly result: WorkerResult }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly category: 'user' | 'system';
      readonly message: string;
      readonly functionName?: string | undefined;
    };
