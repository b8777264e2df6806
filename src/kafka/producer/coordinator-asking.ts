/**
 * Asking a coordinator: finding it, sending to it, and asking again as long as that is harmless.
 *
 * Used by the requests of the sessions, which say what a refusal is.
 *
 * I1. The nodes of both coordinators are kept until an answer or a lost connection says otherwise.
 */
import { asEscapementError } from '../../errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { NodeId, VersionRange } from '../cluster/versions.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';
import type { Api } from '../protocol/schema.ts';
import type { Lane } from '../transport/transport.ts';
import type { Exchange } from './exchange.ts';
import { decisionOn, type Refusal, refusalError, repeatable } from './refusal.ts';

export type SessionCluster = Pick<
  Cluster,
  'send' | 'leaderOf' | 'forgetLeader' | 'coordinator' | 'forgetCoordinator' | 'finalizedFeature'
>;

/** `any`: no coordinator, whichever node answers. */
export interface Place {
  readonly kind: 'group' | 'transaction' | 'any';
  readonly key: string;
}

export interface Question<Req, Res> extends Place {
  readonly api: Api<Req, Res>;
  readonly body: Req;
  /** What else the request is about, for its name in errors: a right on it may be missing. */
  readonly about?: string;
  readonly range: VersionRange;
  readonly refusal: (answer: Res) => Refusal | null;
}

export interface CoordinatorAskingOptions {
  readonly cluster: SessionCluster;
  /** Deadline of each request. */
  readonly timeoutMs: number;
  readonly lane: Lane;
}

export class CoordinatorAsking {
  readonly #options: CoordinatorAskingOptions;
  #transactionNode = -1;
  #groupNode = -1;
  #groupOfNode = '';

  constructor(options: CoordinatorAskingOptions) {
    this.#options = options;
  }

  /** Where the last request went, as far as is known; -1: it will be looked up. */
  nodeOf({ kind, key }: Place): number {
    if (kind === 'group') return key === this.#groupOfNode ? this.#groupNode : -1;
    return kind === 'transaction' ? this.#transactionNode : -1;
  }

  async ask<Req, Res>(exchange: Exchange, question: Question<Req, Res>): Promise<Res> {
    const { api, kind, key, about = '' } = question;
    const what = kind === 'any' ? api.name : `${api.name} of ${kind} '${key}'${about}`;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(exchange, question, what);
      } catch (cause) {
        const error = asEscapementError(cause);
        if (error.decision !== 'retry') throw error;
        await exchange.pause(question.api.name, what, error, attempt);
      }
    }
  }

  /** Throws an error with the decision `retry` when the request may be sent again. */
  async #attempt<Req, Res>(
    exchange: Exchange,
    question: Question<Req, Res>,
    what: string,
  ): Promise<Res> {
    const { api, body, range } = question;
    const { cluster, lane, timeoutMs } = this.#options;
    const node = await this.#findNode(exchange, question, what);
    exchange.assertOpen();
    let answer: Res;
    try {
      answer = await cluster.send(node, api, body as NoInfer<Req>, { lane, timeoutMs, ...range });
    } catch (cause) {
      this.#forgetNode(question);
      throw cause;
    }
    const refusal = question.refusal(answer);
    if (refusal === null) return answer;
    if (decisionOn(refusal.code) === 'retry' && movedCoordinator(refusal.code)) {
      this.#forgetNode(question);
    }
    throw refusalError(what, refusal);
  }

  async #findNode(exchange: Exchange, { kind, key }: Place, what: string): Promise<NodeId> {
    if (kind === 'any') return 'any';
    const known = this.nodeOf({ kind, key });
    if (known >= 0) return known;
    const lookup = this.#options.cluster.coordinator(kind, key).catch((cause: unknown) => {
      throw repeatable(cause);
    });
    const node = await exchange.within(lookup, what);
    if (kind === 'transaction') this.#transactionNode = node;
    else {
      this.#groupNode = node;
      this.#groupOfNode = key;
    }
    return node;
  }

  #forgetNode({ kind, key }: Place): void {
    if (kind === 'any') return;
    if (kind === 'transaction') this.#transactionNode = -1;
    else this.#groupNode = -1;
    this.#options.cluster.forgetCoordinator(kind, key);
  }
}

/** While it loads its state the coordinator stays where it is. */
function movedCoordinator(code: number): boolean {
  return (
    code === KafkaErrorCode.NOT_COORDINATOR ||
    code === KafkaErrorCode.COORDINATOR_NOT_AVAILABLE ||
    code === KafkaErrorCode.TRANSACTION_COORDINATOR_FENCED
  );
}
