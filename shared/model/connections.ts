import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { ProxySelector } from './proxy.ts';

/** The kept connections to one origin. */
export interface Connections {
  readonly agent: http.Agent;
  /** Closes the unused connections and keeps later ones for a shorter time. */
  learnStale(socket: Socket): void;
}

/**
 * How long an unused connection stays open, in milliseconds. Servers and load balancers close theirs
 * after five seconds or more; where it is less they send a `Keep-Alive` header, which the agent
 * honours. A request that is sent while the server closes the connection is reset.
 */
const IDLE_MS = 4_000;
/** How long a shorter time is kept that was learned from a reset, in milliseconds. */
const LEARNED_FOR_MS = 60_000;

/** The connections of each origin, directly or through a proxy. */
export function createConnectionPool(proxyFor: ProxySelector): (url: URL) => Connections {
  const origins = new Map<string, Connections>();
  return (url) => {
    const known = origins.get(url.origin);
    if (known !== undefined) return known;
    const connections = createConnections(createAgent(url, proxyFor(url)));
    origins.set(url.origin, connections);
    return connections;
  };
}

function createAgent({ protocol }: URL, proxy: string | undefined): http.Agent {
  const options = { keepAlive: true, timeout: IDLE_MS };
  if (proxy === undefined) {
    return protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
  }
  return protocol === 'https:'
    ? new https.Agent({ ...options, proxyEnv: { HTTPS_PROXY: proxy } })
    : new http.Agent({ ...options, proxyEnv: { HTTP_PROXY: proxy } });
}

function createConnections(agent: http.Agent): Connections {
  const unusedSince = new WeakMap<Socket, number>();
  const { maxFreeSockets } = agent;
  let idleMs = IDLE_MS;
  let relearnAt = 0;
  agent.on('free', (socket: Socket) => {
    unusedSince.set(socket, performance.now());
    // The agent has set its own timeout before.
    if (idleMs < IDLE_MS) socket.setTimeout(idleMs);
  });

  function setIdleTime(ms: number): void {
    idleMs = ms;
    // 0 closes each connection after its response.
    agent.maxFreeSockets = ms < 1 ? 0 : maxFreeSockets;
  }

  return {
    get agent() {
      if (idleMs < IDLE_MS && performance.now() > relearnAt) setIdleTime(IDLE_MS);
      return agent;
    },
    learnStale(socket) {
      const now = performance.now();
      const unusedMs = now - (unusedSince.get(socket) ?? now);
      setIdleTime(Math.min(idleMs, Math.floor(unusedMs / 2)));
      relearnAt = now + LEARNED_FOR_MS;
      for (const sockets of Object.values(agent.freeSockets)) {
        for (const unused of sockets ?? []) unused.destroy();
      }
    },
  };
}
