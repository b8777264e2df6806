/**
 * One heartbeat, repeated until the broker has said whether we are a member.
 *
 * Called through `heartbeats.ts`; what the answer means for the membership is done by `member.ts`.
 */
import { asEscapementError, type EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';
import type { GroupRequests } from './group-requests.ts';
import { isPassing, type MemberErrors } from './member-errors.ts';

/** What a heartbeat asks of its member and tells it. */
export interface BeatPort {
  readonly requests: GroupRequests;
  readonly errors: MemberErrors;
  readonly ports: Ports;
  readonly log: Log;
  /** Resolves with who we are once no JoinGroup or SyncGroup is under way. */
  readonly member: () => Promise<{ readonly generation: number; readonly memberId: string }>;
  /** Whether that generation is still the current one. */
  readonly isCurrent: (generation: number) => boolean;
  /** What has ended this life of the membership meanwhile, or null. */
  readonly ended: () => EscapementError | null;
  readonly proven: (sentAt: number, rebalance: 'none' | 'in-progress') => void;
  /** These three end this life, and return what it ended with. */
  readonly forgotten: () => EscapementError;
  readonly missed: (generation: number) => EscapementError;
  readonly refused: (error: EscapementError) => EscapementError;
}

const PAUSE_FIRST_MS = 20;
const PAUSE_MOST_MS = 500;

/** Grows with the attempts, which count from 1; never the same for two members. */
export function pauseMs(attempt: number, fraction: number): number {
  const most = Math.min(PAUSE_MOST_MS, PAUSE_FIRST_MS * 2 ** Math.min(attempt, 8));
  return most * (0.5 + 0.5 * fraction);
}

/** Resolves when we are a member, be it in a rebalance; rejects with the decision `lost` or `stop`. */
export async function beat(port: BeatPort): Promise<void> {
  const { ports, requests, log } = port;
  for (let attempt = 1; ; attempt++) {
    const { generation, memberId } = await port.member();
    const sentAt = ports.clock.monotonic();
    const code = await requests.heartbeat(generation, memberId).catch(asEscapementError);
    const ended = port.ended();
    if (ended !== null) throw ended;
    switch (code) {
      case KafkaErrorCode.NONE:
        port.proven(sentAt, 'none');
        return;
      case KafkaErrorCode.REBALANCE_IN_PROGRESS:
        // The broker waits for us to join; until then the tasks are ours.
        port.proven(sentAt, 'in-progress');
        return;
      case KafkaErrorCode.UNKNOWN_MEMBER_ID:
        throw port.forgotten();
      case KafkaErrorCode.ILLEGAL_GENERATION:
        if (port.isCurrent(generation)) throw port.missed(generation);
        // It was sent before a JoinGroup was answered, and handled after it.
        continue;
      default:
    }
    const error = typeof code === 'number' ? port.errors.refusal(code, 'Heartbeat') : code;
    if (!isPassing(error)) throw port.refused(error);
    requests.forgetCoordinator();
    log.debug({ attempt, reason: error.message }, 'heartbeat repeated');
    await ports.timers.sleep(pauseMs(attempt, ports.random.fraction()));
    const meanwhile = port.ended();
    if (meanwhile !== null) throw meanwhile;
  }
}
