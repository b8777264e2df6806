/**
 * Takes static members out of a group by their instance ids (LeaveGroup, KIP-345).
 *
 * A billing process that was killed stays a member until its session ends, and until then its group
 * cannot be deleted. kafkajs knows no instance ids.
 */
import { firstAnswer } from './bootstrap.ts';
import { int32, requestOnce, text } from './one-request.ts';

const FIND_COORDINATOR = { apiKey: 10, version: 0 };
const LEAVE_GROUP = { apiKey: 13, version: 3 };
const timeoutMs = 5_000;

/** Instance ids that are no members are no errors: nothing says which of them still are. */
export async function leaveGroup(
  bootstrap: string,
  groupId: string,
  instanceIds: readonly string[],
): Promise<void> {
  const group = text(groupId);
  const question = { ...FIND_COORDINATOR, body: [group], timeoutMs };
  const found = await firstAnswer(bootstrap, (address) => requestOnce(address, question));
  const errorCode = found.readInt16BE(0);
  if (errorCode !== 0) throw new Error(`no coordinator of group '${groupId}': error ${errorCode}`);
  // errorCode int16, node int32, host string, port int32
  const hostEnd = 8 + found.readInt16BE(6);
  const coordinator = `${found.toString('utf8', 8, hostEnd)}:${found.readInt32BE(hostEnd)}`;
  const members = instanceIds.map((id) => Buffer.concat([text(''), text(id)]));
  const body = [group, int32(members.length), ...members];
  await requestOnce(coordinator, { ...LEAVE_GROUP, body, timeoutMs });
}
