/** Why a membership ended or was refused, in words. Used by `member.ts` and `beat.ts`. */
import { EscapementError } from '../../errors.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';

export class MemberErrors {
  readonly #groupId: string;
  readonly #instanceId: string | null;

  constructor({ groupId, instanceId }: { groupId: string; instanceId: string | null }) {
    this.#groupId = groupId;
    this.#instanceId = instanceId;
  }

  refusal(code: number, request: string): EscapementError {
    const instanceId = this.#instanceId;
    const as = instanceId === null ? '' : ` as instance '${instanceId}'`;
    return brokerError(code, `${request} of group '${this.#groupId}'${as}`);
  }

  forgotten(request: string): EscapementError {
    return this.refusal(KafkaErrorCode.UNKNOWN_MEMBER_ID, request);
  }

  missed(generation: number): EscapementError {
    return this.#lost(`went past generation ${generation} without this member`);
  }

  sessionOver(sessionTimeoutMs: number): EscapementError {
    return new EscapementError(
      'TASK_LOST',
      `No answer of the coordinator of group '${this.#groupId}' for ${sessionTimeoutMs} ms: the ` +
        `session is over.`,
    );
  }

  lostMeanwhile(): EscapementError {
    return this.#lost('has lost this member meanwhile');
  }

  stopped(): EscapementError {
    return new EscapementError('CLOSED', 'The group member was stopped.');
  }

  otherTopology(reason: string): EscapementError {
    return new EscapementError(
      'TOPOLOGY_INVALID',
      `Group '${this.#groupId}' runs another topology: ${reason}. Stop the instances of the other ` +
        `topology first, or use another applicationId.`,
    );
  }

  #lost(what: string): EscapementError {
    return new EscapementError('TASK_LOST', `Group '${this.#groupId}' ${what}.`);
  }
}

/** To be tried again: nothing that a group request changes is changed by another one like it. */
export function isPassing({ decision }: EscapementError): boolean {
  return decision === 'retry' || decision === 'indefinite' || decision === 'abort';
}
