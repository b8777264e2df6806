/**
 * What a proxy does to one request or to its answer.
 *
 * | fault                 | the broker                         | the client                             |
 * |-----------------------|------------------------------------|----------------------------------------|
 * | `lose-request`        | never hears of it                  | connection closed                      |
 * | `cut-request`         | gets half of it, then the end      | connection closed                      |
 * | `late-request`        | gets it `delayMs` later            | connection closed at once              |
 * | `close-after-forward` | gets it                            | connection closed before the answer    |
 * | `lose-answer`         | carries it out                     | connection closed instead of an answer |
 * | `swallow-answer`      | carries it out                     | waits until its time-out               |
 * | `hold-answer`         | carries it out                     | gets the answer `delayMs` later        |
 * | `cut-answer`          | carries it out                     | gets half of the answer, then the end  |
 */
export type ProxyFault =
  | {
      readonly kind:
        | 'lose-request'
        | 'cut-request'
        | 'close-after-forward'
        | 'lose-answer'
        | 'swallow-answer'
        | 'cut-answer';
    }
  | { readonly kind: 'hold-answer' | 'late-request'; readonly delayMs: number };

export type ProxyFaultKind = ProxyFault['kind'];

export interface ProxiedRequest {
  readonly node: number;
  /** Numbered from 1 over all proxies that share a plan. */
  readonly connection: number;
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly clientId: string;
  /** Of the requests of this API on this connection, from 1. */
  readonly ordinal: number;
}

/** Asked once per request, before it is forwarded. */
export type ProxyPlan = (request: ProxiedRequest) => ProxyFault | null;

export const NO_FAULTS: ProxyPlan = () => null;

/** "The answer to the third EndTxn of a connection is lost": on every connection. */
export function onOrdinal(apiKey: number, ordinal: number, fault: ProxyFault): ProxyPlan {
  return (request) => (request.apiKey === apiKey && request.ordinal === ordinal ? fault : null);
}

/** Strikes every n-th request of an API, counted by client over all of its connections. */
export function everyNth(apiKey: number, every: number, fault: ProxyFault): ProxyPlan {
  const seen = new Map<string, number>();
  return (request) => {
    if (request.apiKey !== apiKey) return null;
    const count = (seen.get(request.clientId) ?? 0) + 1;
    seen.set(request.clientId, count);
    return count % every === 0 ? fault : null;
  };
}
