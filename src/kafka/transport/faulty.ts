/**
 * A transport that fails by plan: requests and replies get lost, late or doubled, connections close,
 * and a process stops dead between two instructions. It wraps any other transport.
 *
 * The plan is asked once per request, with the number of this request among the requests of its API
 * (1, 2, 3, ...), and names at most one fault, whose meaning depends on where it strikes:
 *
 * | outcome        | `before-send`                                   | `after-reply`                      |
 * |----------------|-------------------------------------------------|------------------------------------|
 * | `lose-request` | never delivered; caller: fate unknown           | refused: there is nothing to lose  |
 * | `lose-reply`   | delivered, caller learns of the loss at once,   | delivered and answered, then lost: |
 * |                | while the broker may still be at work           | fate unknown                       |
 * | `delay`        | delivered `delayMs` later                       | answer handed over `delayMs` later |
 * | `duplicate`    | delivered twice, back to back; first answer     | delivered again after the answer   |
 * | `close`        | not sent; the requests pending on the same node | answered, then the connection is   |
 * |                | and lane: fate unknown                          | lost: all of them fate unknown     |
 * | `stop`         | not sent, and from now on nothing is            | delivered, and nothing after it    |
 *
 * I1. After `stop` no request is delivered and no promise of this transport settles any more, also
 *     none that was pending: for the broker the process is dead, for the code above time stands.
 * I2. Faults never change bytes: what is delivered is what the caller sent.
 */
import { EscapementError } from '../../errors.ts';
import type { Timers } from '../../ports.ts';
import { type Node, type Transport, TransportError, type TransportRequest } from './transport.ts';

export type FaultOutcome = 'lose-request' | 'lose-reply' | 'delay' | 'duplicate' | 'close' | 'stop';

export interface Fault {
  readonly outcome: FaultOutcome;
  readonly at: 'before-send' | 'after-reply';
  /** For `delay`. */
  readonly delayMs?: number;
}

/** Asked once per request; `ordinal` counts the requests of this API from 1. */
export type FaultPlan = (
  request: TransportRequest,
  ordinal: number,
  node: number | 'any',
) => Fault | null;

export interface PlannedFault extends Fault {
  readonly apiKey: number;
  /** Strikes the n-th (from 1) request of the API, or of those that `where` accepts. */
  readonly ordinal: number;
  readonly where?: (request: TransportRequest, node: number | 'any') => boolean;
}

/** A plan from a list of faults, each of which strikes once. */
export function planOf(faults: readonly PlannedFault[]): FaultPlan {
  const seen = faults.map(() => 0);
  return (request, _ordinal, node) => {
    let struck: PlannedFault | null = null;
    for (const [at, fault] of faults.entries()) {
      if (fault.apiKey !== request.apiKey) continue;
      if (fault.where !== undefined && !fault.where(request, node)) continue;
      const count = (seen[at] ?? 0) + 1;
      seen[at] = count;
      if (count === fault.ordinal) struck ??= fault;
    }
    return struck;
  };
}

/** What happened to one request, in order: tests assert that their fault really struck. */
export interface Struck {
  readonly apiKey: number;
  readonly ordinal: number;
  readonly node: number | 'any';
  readonly fault: Fault;
}

interface Pending {
  readonly node: number | 'any';
  readonly lane: string;
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

export class FaultyTransport implements Transport {
  /** Resolves when a `stop` struck. */
  readonly stopped: Promise<void>;
  readonly struck: Struck[] = [];
  readonly #inner: Transport;
  readonly #timers: Timers;
  readonly #pending = new Set<Pending>();
  readonly #counts = new Map<number, number>();
  #plan: FaultPlan;
  #state: 'running' | 'stopped' = 'running';
  #announceStop: () => void = () => {};

  constructor(options: {
    readonly inner: Transport;
    readonly plan?: FaultPlan;
    readonly timers: Timers;
  }) {
    this.#inner = options.inner;
    this.#plan = options.plan ?? (() => null);
    this.#timers = options.timers;
    this.stopped = new Promise((resolve) => {
      this.#announceStop = resolve;
    });
  }

  /** Replaces the plan for the requests to come; ordinals go on counting. */
  setPlan(plan: FaultPlan): void {
    this.#plan = plan;
  }

  /** Requests of an API that reached this transport so far. */
  count(apiKey: number): number {
    return this.#counts.get(apiKey) ?? 0;
  }

  /** Stops the process now, as the outcome `stop` does. */
  stop(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#pending.clear();
    this.#announceStop();
  }

  request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'stopped') return;
      const ordinal = this.count(request.apiKey) + 1;
      this.#counts.set(request.apiKey, ordinal);
      const pending: Pending = { node, lane: request.lane, resolve, reject };
      this.#pending.add(pending);
      const fault = this.#plan(request, ordinal, node);
      if (fault === null) this.#deliver(pending, request, null);
      else {
        this.struck.push({ apiKey: request.apiKey, ordinal, node, fault });
        if (fault.at === 'before-send') this.#strikeBefore(pending, request, fault);
        else this.#deliver(pending, request, fault);
      }
    });
  }

  learn(nodes: readonly Node[]): void {
    this.#inner.learn(nodes);
  }

  /** Closes the wrapped transport; after a stop this is what a broker sees of a dead process. */
  close(): Promise<void> {
    return this.#inner.close();
  }

  #strikeBefore(pending: Pending, request: TransportRequest, fault: Fault): void {
    switch (fault.outcome) {
      case 'lose-request':
        this.#lose(pending, 'the request was lost');
        return;
      case 'lose-reply':
        this.#inner.request(pending.node, request).catch(() => {});
        this.#lose(pending, 'the reply was lost');
        return;
      case 'delay':
        this.#timers.after(fault.delayMs ?? 0, () => {
          if (this.#state === 'running') this.#deliver(pending, request, null);
        });
        return;
      case 'duplicate':
        this.#deliver(pending, request, null);
        this.#inner.request(pending.node, request).catch(() => {});
        return;
      case 'close':
        this.#pending.delete(pending);
        pending.reject(
          new TransportError('never-sent', `Connection to ${pending.node}: closed by plan.`),
        );
        this.#loseConnection(pending);
        return;
      case 'stop':
        this.stop();
    }
  }

  #deliver(pending: Pending, request: TransportRequest, fault: Fault | null): void {
    this.#inner.request(pending.node, request).then(
      (body) => {
        if (this.#state === 'stopped') return;
        if (fault === null) this.#settle(pending, () => pending.resolve(body));
        else this.#strikeAfter(pending, request, body, fault);
      },
      (error: unknown) => {
        if (this.#state === 'stopped') return;
        // The process dies where it was going to, also when there is no answer to wait for.
        if (fault?.outcome === 'stop') this.stop();
        else this.#settle(pending, () => pending.reject(error));
      },
    );
  }

  #strikeAfter(pending: Pending, request: TransportRequest, body: Buffer, fault: Fault): void {
    switch (fault.outcome) {
      case 'lose-request':
        this.#settle(pending, () =>
          pending.reject(
            new EscapementError(
              'OPTION_INVALID',
              'A fault plan loses a request after its reply; use lose-reply, or before-send.',
            ),
          ),
        );
        return;
      case 'lose-reply':
        this.#lose(pending, 'the reply was lost');
        return;
      case 'delay':
        this.#timers.after(fault.delayMs ?? 0, () => {
          if (this.#state === 'running') this.#settle(pending, () => pending.resolve(body));
        });
        return;
      case 'duplicate':
        this.#inner.request(pending.node, request).catch(() => {});
        this.#settle(pending, () => pending.resolve(body));
        return;
      case 'close':
        this.#loseConnection(pending);
        return;
      case 'stop':
        this.stop();
    }
  }

  /** Every request pending on the node and lane of `at`, itself included, shares the fate. */
  #loseConnection(at: Pending): void {
    for (const pending of [...this.#pending]) {
      if (pending.node !== at.node || pending.lane !== at.lane) continue;
      this.#lose(pending, 'the connection was closed');
    }
  }

  #lose(pending: Pending, why: string): void {
    this.#settle(pending, () =>
      pending.reject(new TransportError('unknown', `Request to ${pending.node}: ${why} by plan.`)),
    );
  }

  #settle(pending: Pending, how: () => void): void {
    if (this.#pending.delete(pending)) how();
  }
}
