/** Where a log begins, as its leader says: the answer to a fetch below it does not tell. */
import { int32, requestOnce, text } from '../../topologies/billing/one-request.ts';

const LIST_OFFSETS = { apiKey: 2, version: 1 };
const CONSUMER = -1;
const EARLIEST = -2n;
const ANSWER_MS_MAX = 10_000;

/** Rejects when `leader` does not lead the partition. */
export async function logStart(leader: string, topic: string, partition: number): Promise<number> {
  const timestamp = Buffer.alloc(8);
  timestamp.writeBigInt64BE(EARLIEST);
  const partitions = [int32(1), int32(partition), timestamp];
  const body = [int32(CONSUMER), int32(1), text(topic), ...partitions];
  const answer = await requestOnce(leader, { ...LIST_OFFSETS, body, timeoutMs: ANSWER_MS_MAX });
  // One topic with one partition: its index, an error, a timestamp and the offset.
  const at = 4 + 2 + answer.readInt16BE(4) + 4 + 4;
  const errorCode = answer.readInt16BE(at);
  if (errorCode !== 0) throw new Error(`start of ${topic}-${partition}: error ${errorCode}`);
  return Number(answer.readBigInt64BE(at + 2 + 8));
}
