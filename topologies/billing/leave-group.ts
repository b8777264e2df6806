/**
 * Takes static members out of a group by their instance ids (LeaveGroup, KIP-345).
 *
 * A billing process that was killed stays a member until its session ends, and until then its group
 * cannot be deleted. kafkajs knows no instance ids, so these two requests are written here.
 */
import { connect } from 'node:net';

const FIND_COORDINATOR = 10;
const LEAVE_GROUP = 13;
const TIMEOUT_MS = 5_000;

/** Instance ids that are no members are no errors: nothing says which of them still are. */
export async function leaveGroup(
  broker: string,
  groupId: string,
  instanceIds: readonly string[],
): Promise<void> {
  const found = await ask(broker, FIND_COORDINATOR, 0, [text(groupId)]);
  const hostEnd = 12 + found.readInt16BE(10);
  const coordinator = `${found.toString('utf8', 12, hostEnd)}:${found.readInt32BE(hostEnd)}`;
  if (found.readInt16BE(4) !== 0) throw new Error(`FindCoordinator: ${found.readInt16BE(4)}`);
  const members = instanceIds.map((id) => Buffer.concat([text(''), text(id)]));
  await ask(coordinator, LEAVE_GROUP, 3, [text(groupId), int32(members.length), ...members]);
}

/** One request on a connection of its own; the answer begins with the correlation id. */
function ask(
  address: string,
  apiKey: number,
  version: number,
  body: readonly Buffer[],
): Promise<Buffer> {
  const header = [int16(apiKey), int16(version), int32(1), text('billing-launcher')];
  const message = Buffer.concat([...header, ...body]);
  const cut = address.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address.slice(0, cut),
      port: Number(address.slice(cut + 1)),
      timeout: TIMEOUT_MS,
    });
    let received = Buffer.alloc(0);
    socket.on('connect', () => socket.write(Buffer.concat([int32(message.length), message])));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      resolve(received.subarray(4));
      socket.destroy();
    });
    socket.on('timeout', () => socket.destroy(new Error(`${address} does not answer`)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${address} closed the connection`)));
  });
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int16(bytes.length), bytes]);
}
