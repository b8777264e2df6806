/**
 * What members of a group tell one another beyond the standard messages: claims and profiles to the
 * leader, tasks and hosts from it.
 *
 * Layout: one byte with the version that wrote it, one with the oldest version that can read it, the
 * fields of version 1, then those of later versions, which are passed over here.
 *
 * I1. Nothing is larger than `USER_DATA_BYTES_MAX`: the broker keeps the data of all members in one
 *     record of its offsets topic (1 MB by default).
 * I2. Bytes of a foreign member cost this one no more than their length.
 */
import { EscapementError } from '../../errors.ts';
import { ByteReader, ByteWriter } from './protocol-bytes.ts';
import { compare, taskId, taskName } from './task-name.ts';

/** A task that a member runs. */
export interface Claim {
  readonly task: string;
  /** The last generation that assigned it to the member. */
  readonly generation: number;
  /** The first one, of all without a gap. */
  readonly since: number;
}

export interface SubTopologyProfile {
  readonly name: string;
  /** Partitions 0 to this are its tasks. */
  readonly partitions: number;
  /** Hashes of topics (`topicHash`). */
  readonly inputs: readonly string[];
  readonly changelogs: readonly string[];
}

/** What a member is, whatever it runs now. */
export interface MemberProfile {
  /** `host:port`, if it told one. */
  readonly host: string | null;
  /** Of the whole topology; for people. */
  readonly fingerprint: string;
  readonly subTopologies: readonly SubTopologyProfile[];
  /** The id of the schema with which it writes, by subject. */
  readonly schemas: ReadonlyMap<string, number>;
}

export interface MemberData {
  readonly profile: MemberProfile;
  readonly claims: readonly Claim[];
}

export interface AssignmentData {
  readonly tasks: readonly string[];
  /** How many tasks that the member claimed are not among `tasks`: it lets go and joins again. */
  readonly revoked: number;
  /** `profileHash` of the member as the leader saw it: a static one may have come back another. */
  readonly profile: string;
  /** Why the member gets nothing and is to stop. */
  readonly refusal: string | null;
  /** Which host has which tasks. */
  readonly hosts: readonly { readonly host: string; readonly tasks: readonly string[] }[];
}

/** 64 kB: some 3,000 tasks in one instance. */
export const USER_DATA_BYTES_MAX = 65_536;
const VERSION = 1;
const READABLE_SINCE = 1;
const HASH_BYTES = 8;

/** Throws `GROUP_METADATA_TOO_LARGE`. */
export function encodeMemberData({ profile, claims }: MemberData): Buffer {
  const writer = begin();
  writeProfile(writer, profile);
  writeByName(writer, claims, ({ generation, since }) => {
    writer.int32(generation).int32(since);
  });
  return bounded(writer, `${claims.length} tasks, ${profile.schemas.size} schemas`);
}

/** Throws `PROTOCOL_MALFORMED`. */
export function decodeMemberData(bytes: Buffer | null): MemberData {
  const reader = read(bytes);
  const profile = readProfile(reader);
  const claims = readByName(reader, (task) => ({
    task,
    generation: reader.int32(),
    since: reader.int32(),
  }));
  return { profile, claims };
}

/** The profile alone, in an order of its own: equal for equal profiles. */
export function encodeProfile(profile: MemberProfile): Buffer {
  const writer = new ByteWriter();
  writeProfile(writer, profile);
  return writer.done();
}

/** Throws `GROUP_METADATA_TOO_LARGE`. Hosts are left out when they do not fit. */
export function encodeAssignmentData(assignment: AssignmentData): Buffer {
  const { tasks, revoked, profile, refusal, hosts } = assignment;
  const write = (hostsToTell: AssignmentData['hosts']): ByteWriter => {
    const writer = begin().int32(revoked).raw(Buffer.from(profile, 'hex')).string(refusal);
    writeByName(writer, tasks.map(asTask), () => {});
    return writer.array(hostsToTell, (each) => {
      writer.string(each.host);
      writeByName(writer, each.tasks.map(asTask), () => {});
    });
  };
  const whole = write(hosts).done();
  if (whole.length <= USER_DATA_BYTES_MAX) return whole;
  return bounded(write([]), `${tasks.length} tasks`);
}

/** Throws `PROTOCOL_MALFORMED`. */
export function decodeAssignmentData(bytes: Buffer | null): AssignmentData {
  const reader = read(bytes);
  const revoked = reader.int32();
  const profile = reader.raw(HASH_BYTES).toString('hex');
  const refusal = reader.nullableString();
  const tasks = readByName(reader, (task) => task);
  const hosts = reader.array(() => ({
    host: reader.string(),
    tasks: readByName(reader, (task) => task),
  }));
  return { tasks, revoked, profile, refusal, hosts };
}

function asTask(task: string): { readonly task: string } {
  return { task };
}

function begin(): ByteWriter {
  return new ByteWriter().int8(VERSION).int8(READABLE_SINCE);
}

function bounded(writer: ByteWriter, what: string): Buffer {
  const bytes = writer.done();
  if (bytes.length <= USER_DATA_BYTES_MAX) return bytes;
  throw new EscapementError(
    'GROUP_METADATA_TOO_LARGE',
    `What this instance tells its group (${what}) takes ${bytes.length} bytes; at most ` +
      `${USER_DATA_BYTES_MAX} are allowed.`,
  );
}

function read(bytes: Buffer | null): ByteReader {
  if (bytes === null) throw refused('there is none');
  if (bytes.length > USER_DATA_BYTES_MAX) throw refused(`it has ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const version = reader.int8();
  const readableSince = reader.int8();
  if (version >= VERSION && readableSince >= 1 && readableSince <= VERSION) return reader;
  throw refused(
    `it has version ${version}, for readers of version ${readableSince} or later; this one reads ` +
      `${VERSION}. Members of one group must run compatible versions of escapement`,
  );
}

function refused(why: string): EscapementError {
  return new EscapementError('PROTOCOL_MALFORMED', `Group metadata of escapement: ${why}.`);
}

function writeProfile(writer: ByteWriter, profile: MemberProfile): void {
  const { host, fingerprint, subTopologies, schemas } = profile;
  writer.string(host).string(fingerprint);
  writer.array(
    [...subTopologies].sort((a, b) => compare(a.name, b.name)),
    ({ name, partitions, inputs, changelogs }) => {
      writer.string(name).int32(partitions);
      for (const topics of [inputs, changelogs]) {
        writer.array([...topics].sort(), (hash) => writer.raw(Buffer.from(hash, 'hex')));
      }
    },
  );
  writer.array(
    [...schemas].sort(([a], [b]) => compare(a, b)),
    ([subject, id]) => writer.string(subject).int32(id),
  );
}

function readProfile(reader: ByteReader): MemberProfile {
  const host = reader.nullableString();
  const fingerprint = reader.string();
  const hashes = () => reader.array(() => reader.raw(HASH_BYTES).toString('hex'));
  const subTopologies = reader.array(() => ({
    name: reader.string(),
    partitions: reader.int32(),
    inputs: hashes(),
    changelogs: hashes(),
  }));
  const schemas = new Map(reader.array(() => [reader.string(), reader.int32()] as const));
  return { host, fingerprint, subTopologies, schemas };
}

/** Each name once, then the partitions with what belongs to each. */
function writeByName<T extends { readonly task: string }>(
  writer: ByteWriter,
  rows: readonly T[],
  write: (row: T) => void,
): void {
  const names = new Map<string, { readonly partition: number; readonly row: T }[]>();
  for (const row of rows) {
    const { subTopology, partition } = taskName(row.task);
    const known = names.get(subTopology);
    if (known === undefined) names.set(subTopology, [{ partition, row }]);
    else known.push({ partition, row });
  }
  writer.array([...names], ([name, list]) => {
    writer.string(name).array(list, ({ partition, row }) => {
      writer.int32(partition);
      write(row);
    });
  });
}

function readByName<T>(reader: ByteReader, make: (task: string) => T): T[] {
  const names = reader.array(() => {
    const name = reader.string();
    return reader.array(() => make(taskId(name, reader.int32())));
  });
  return names.flat();
}
