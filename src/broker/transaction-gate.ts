/**
 * How leaders and group coordinators ask the transaction coordinator: Kafka's
 * AddPartitionsToTxnManager.
 *
 * A node has one request on its way to another node; what comes meanwhile waits and goes together.
 *
 * I1. Of one transactional id one question waits. A second one of the same epoch displaces it, and
 *     whoever asked first is told NETWORK_EXCEPTION, which clients see as a code to send again for;
 *     of two epochs the older one is fenced. With `coordinatorAppendMs` 0 nothing ever waits.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { CoordinatorKind } from './placement.ts';
import type { Enlistment, TransactionCoordinator } from './transactions.ts';

type Answer = (errorCode: number) => void;

interface Question {
  readonly enlistment: Enlistment;
  readonly answer: Answer;
}

interface Lane {
  /** Questions of the request on its way that have no answer yet. */
  open: number;
  readonly waiting: Map<string, Question>;
}

export class TransactionGate {
  readonly #coordinator: TransactionCoordinator;
  readonly #coordinatorOf: (kind: CoordinatorKind, key: string) => number;
  readonly #lanes = new Map<string, Lane>();

  constructor(
    coordinator: TransactionCoordinator,
    coordinatorOf: (kind: CoordinatorKind, key: string) => number,
  ) {
    this.#coordinator = coordinator;
    this.#coordinatorOf = coordinatorOf;
  }

  /** Adds the participants by the rules of v2, verifies them by those of v1. */
  ask(node: number, enlistment: Enlistment, answer: Answer): void {
    const { transactionalId, producer } = enlistment;
    const lane = this.#laneTo(node, this.#coordinatorOf('transaction', transactionalId));
    const question = { enlistment, answer };
    if (lane.open === 0) {
      this.#send(lane, [question]);
      return;
    }
    const present = lane.waiting.get(transactionalId);
    const ahead = (present?.enlistment.producer.producerEpoch ?? -1) - producer.producerEpoch;
    if (ahead > 0) {
      answer(KafkaErrorCode.INVALID_PRODUCER_EPOCH);
      return;
    }
    lane.waiting.set(transactionalId, question);
    present?.answer(
      ahead < 0 ? KafkaErrorCode.INVALID_PRODUCER_EPOCH : KafkaErrorCode.NETWORK_EXCEPTION,
    );
  }

  #laneTo(from: number, to: number): Lane {
    const key = `${from}/${to}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { open: 0, waiting: new Map() };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #send(lane: Lane, questions: readonly Question[]): void {
    lane.open = questions.length;
    for (const { enlistment, answer } of questions) {
      const answered = (errorCode: number) => {
        lane.open -= 1;
        answer(errorCode);
        if (lane.open > 0 || lane.waiting.size === 0) return;
        const next = [...lane.waiting.values()];
        lane.waiting.clear();
        this.#send(lane, next);
      };
      if (enlistment.rules === 'v2') this.#coordinator.add(enlistment, answered);
      else answered(this.#coordinator.verify(enlistment));
    }
  }
}
