/**
 * Plays a plan on one target and writes down what was answered and what is left behind, in words
 * that are the same on every target: producer and member ids by the order of their first sight,
 * offsets from the end that the log had before.
 *
 * I1. Answers that pass by themselves are asked again; after each request that can end a
 *     transaction the player waits until the coordinator has finished it and until the group shows
 *     its offsets. What is compared does not depend on how fast a broker is.
 */
import type { ReadBatch } from '../../broker/batch.ts';
import { type Producer, TRANSACTION_VERSIONS } from '../client.ts';
import { Member } from '../member.ts';
import { readAll } from '../reader.ts';
import { definite, type Stage, until } from '../stage.ts';
import {
  type Command,
  type Epoch,
  type Membership,
  PARTITIONS,
  type Plan,
  type Sequence,
} from './commands.ts';

export interface Transcript {
  /** One line for each command. */
  readonly answers: readonly string[];
  /** What the partitions, the group and the coordinator show at the end. */
  readonly remains: readonly string[];
}

interface Place {
  readonly stage: Stage;
  readonly topic: string;
}

export async function play(place: Place, plan: Plan): Promise<Transcript> {
  const player = new Player(place, plan);
  await player.begin();
  const answers: string[] = [];
  for (const command of plan.commands) answers.push(await player.answer(command));
  const remains = await player.remains();
  await player.leave();
  return { answers, remains };
}

interface Actor {
  readonly transactionalId: string;
  readonly versions: (typeof TRANSACTION_VERSIONS)['v1' | 'v2'];
  identity: Producer;
  /** Producer id that it uses before it has one. */
  readonly madeUp: number;
  /** Next sequence and last batch by partition, of the current epoch. */
  next: number[];
  last: { sequence: number; values: readonly string[] }[];
  /** Partitions with an offset pending as far as the player knows. */
  readonly pending: Set<number>;
  /** Partitions with records of the open transaction. */
  readonly written: Set<number>;
}

const FOREIGN_IDS = 1_000_000;
/** Of producers that were never initialised: another one in each play, the partitions remember. */
let madeUp = 1_000_000_000;

class Player {
  readonly #stage: Stage;
  readonly #topic: string;
  readonly #group: string;
  readonly #member: Member;
  readonly #actors: readonly Actor[];
  readonly #producerIds = new Map<number, string>();
  readonly #memberIds = new Map<string, string>();
  /** End of each partition before the first command. */
  readonly #starts: number[] = [];
  #written = 0;

  constructor({ stage, topic }: Place, plan: Plan) {
    this.#stage = stage;
    this.#topic = topic;
    this.#group = stage.name('group');
    this.#member = new Member(stage.client, this.#group, { sessionTimeoutMs: 600_000 });
    this.#actors = plan.protocols.map((protocol) => ({
      transactionalId: stage.name('txn'),
      versions: TRANSACTION_VERSIONS[protocol],
      identity: { producerId: -1, producerEpoch: -1 },
      madeUp: madeUp++,
      next: [],
      last: [],
      pending: new Set(),
      written: new Set(),
    }));
  }

  async begin(): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { offset } = await this.#stage.client.listOffset(this.#topic, partition);
      this.#starts.push(offset);
    }
  }

  /** Leaves nothing open to whoever plays on these partitions next. */
  async leave(): Promise<void> {
    for (const actor of this.#actors) {
      const { state } = await this.#stage.state(actor.transactionalId);
      if (state === 'Ongoing')
        await this.#init({ do: 'init', producer: this.#actors.indexOf(actor), claim: 'none' });
    }
  }

  answer(command: Command): Promise<string> | string {
    switch (command.do) {
      case 'init':
        return this.#init(command);
      case 'add':
        return this.#add(command);
      case 'produce':
        return this.#produce(command);
      case 'write':
        return this.#write(command);
      case 'addOffsets':
        return this.#addOffsets(command);
      case 'sendOffset':
        return this.#sendOffset(command);
      case 'end':
        return this.#end(command);
      case 'commitOffset':
        return this.#commitOffset(command);
      case 'fetch':
        return this.#fetch(command);
      case 'committed':
        return this.#committed(command);
      default:
        return this.#membership(command.do);
    }
  }

  async remains(): Promise<string[]> {
    const lines: string[] = [];
    const { client } = this.#stage;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const start = this.#starts[partition]!;
      const all = await readAll(client, this.#topic, 'read_uncommitted', partition, start);
      const seen = await readAll(client, this.#topic, 'read_committed', partition, start);
      const { offset: stable } = await client.listOffset(this.#topic, partition);
      const records = seen.records.map(({ offset, value }) => `${offset - start}:${value}`);
      lines.push(
        `partition ${partition} log: ${all.batches.map((each) => this.#shown(each, start)).join(' | ')}`,
        `partition ${partition} committed: ${records.join(' ')}`,
        `partition ${partition} aborted: ${seen.aborted.map((each) => `${this.#idOf(each.producerId)}@${each.firstOffset - start}`).join(' ')}`,
        `partition ${partition} ends: ${seen.highWatermark - start} ${seen.lastStableOffset - start} ${stable - start}`,
      );
      for (const stability of ['any', 'stable'] as const) {
        lines.push(await this.#committed({ do: 'committed', partition, stability }));
      }
    }
    for (const { transactionalId } of this.#actors) {
      const { state, producerId, producerEpoch } = await this.#stage.state(transactionalId);
      lines.push(`coordinator: ${state} ${this.#idOf(producerId)} ${producerEpoch}`);
    }
    return lines;
  }

  async #init({ producer, claim }: Extract<Command, { do: 'init' }>): Promise<string> {
    const actor = this.#actors[producer]!;
    const expected = claimed(actor.identity, claim);
    const version = actor.versions.init;
    const got = await definite(() =>
      this.#stage.client.init(actor.transactionalId, { expected, version }),
    );
    await this.#settle(actor);
    if (got.error === 'NONE') this.#become(actor, got);
    return `init ${got.error} ${this.#idOf(got.producerId)} ${got.producerEpoch}`;
  }

  async #add(command: Extract<Command, { do: 'add' }>): Promise<string> {
    const actor = this.#actors[command.producer]!;
    const identity = shifted(actor, command.epoch);
    if (command.id === 'foreign') identity.producerId += FOREIGN_IDS;
    const topics = [{ name: this.#topic, partitions: command.partitions }];
    const answers = await until(
      () => this.#stage.client.addPartitionsOf(actor.transactionalId, identity, topics),
      (seen) => !seen.includes('CONCURRENT_TRANSACTIONS'),
    );
    return `add ${answers.join(' ')}`;
  }

  async #produce(command: Extract<Command, { do: 'produce' }>): Promise<string> {
    const { partition, count, kind } = command;
    const actor = this.#actors[command.producer]!;
    const epoch = this.#unfatal(command.epoch, actor.written.has(partition));
    const { producerId, producerEpoch } = shifted(actor, epoch);
    const repeat = command.sequence === 'repeat' ? actor.last[partition] : undefined;
    const sequence = repeat?.sequence ?? sequenceOf(actor.next[partition] ?? 0, command.sequence);
    const values = repeat?.values ?? this.#values(count);
    const { transactionalId, versions } = actor;
    const got = await definite(() =>
      this.#stage.client.produce(
        this.#topic,
        partition,
        { values, sequence, producerId, epoch: producerEpoch, transactional: kind },
        { transactionalId, version: versions.produce },
      ),
    );
    if (got.error === 'NONE' && kind === 'transactional') actor.written.add(partition);
    if (got.error === 'NONE' && repeat === undefined && epoch === 'current') {
      actor.next[partition] = sequence + values.length;
      actor.last[partition] = { sequence, values };
    }
    return `produce ${got.error} ${this.#relative(partition, got.baseOffset)}`;
  }

  async #write({ partition, count }: Extract<Command, { do: 'write' }>): Promise<string> {
    const values = this.#values(count);
    const got = await this.#stage.client.produce(this.#topic, partition, { values });
    return `write ${got.error} ${this.#relative(partition, got.baseOffset)}`;
  }

  async #addOffsets(command: Extract<Command, { do: 'addOffsets' }>): Promise<string> {
    const actor = this.#actors[command.producer]!;
    const { transactionalId } = actor;
    const { addOffsets: version } = actor.versions;
    const error = await definite(() =>
      this.#stage.client.addOffsets(
        transactionalId,
        shifted(actor, command.epoch),
        this.#group,
        version,
      ),
    );
    return `addOffsets ${error}`;
  }

  async #sendOffset(command: Extract<Command, { do: 'sendOffset' }>): Promise<string> {
    const { partition, offset } = command;
    const actor = this.#actors[command.producer]!;
    const epoch = this.#unfatal(command.epoch, actor.pending.size > 0);
    const identity = shifted(actor, epoch);
    const entry = { topic: this.#topic, partition, offset };
    const options = {
      ...this.#membershipOf(command.membership),
      version: actor.versions.commitOffsets,
    };
    const error = await definite(() =>
      this.#stage.client.commitOffsetIn(
        actor.transactionalId,
        identity,
        this.#group,
        entry,
        options,
      ),
    );
    if (error === 'NONE') actor.pending.add(partition);
    return `sendOffset ${error}`;
  }

  async #end(command: Extract<Command, { do: 'end' }>): Promise<string> {
    const actor = this.#actors[command.producer]!;
    const { transactionalId, versions } = actor;
    const identity = shifted(actor, command.epoch);
    const got = await definite(() =>
      this.#stage.client.end(transactionalId, identity, command.result, versions.end),
    );
    await this.#settle(actor);
    if (versions.end < 5) return `end ${got.error}`;
    if (got.error === 'NONE') this.#become(actor, got);
    return `end ${got.error} ${this.#idOf(got.producerId)} ${got.producerEpoch}`;
  }

  async #commitOffset(command: Extract<Command, { do: 'commitOffset' }>): Promise<string> {
    const { partition, offset } = command;
    const error = await this.#stage.client.commitOffset(
      this.#group,
      { topic: this.#topic, partition, offset },
      this.#membershipOf(command.membership),
    );
    return `commitOffset ${error}`;
  }

  async #fetch({ partition, isolation, quarter }: Extract<Command, { do: 'fetch' }>) {
    const { client } = this.#stage;
    const start = this.#starts[partition]!;
    const { highWatermark } = await client.fetch(this.#topic, partition, start, { isolation });
    const part = Math.floor(((highWatermark - start) * quarter) / 4);
    const from = quarter === 5 ? highWatermark + 1 : start + part;
    const got = await client.fetch(this.#topic, partition, from, { isolation });
    const aborted = got.aborted?.map(
      (each) => `${this.#idOf(each.producerId)}@${each.firstOffset - start}`,
    );
    const ends = [got.highWatermark, got.lastStableOffset].map((end) =>
      this.#relative(partition, end),
    );
    const batches = got.batches.map((each) => this.#shown(each, start)).join(' | ');
    const bounds = `${ends.join('/')}/${got.logStartOffset}`;
    return `fetch from ${from - start}: ${got.error} ${bounds} [${aborted?.join(' ')}] ${batches}`;
  }

  async #committed(command: Extract<Command, { do: 'committed' }>): Promise<string> {
    const { partition, stability } = command;
    const held = this.#actors.some(({ pending }) => pending.has(partition));
    const found = await until(
      () => this.#stage.client.committed(this.#group, this.#topic, { partition, stability }),
      ({ error }) => held || error !== 'UNSTABLE_OFFSET_COMMIT',
    );
    return `committed ${partition} ${stability}: ${found.error} ${found.offset}`;
  }

  async #membership(what: 'join' | 'leave' | 'heartbeat'): Promise<string> {
    const member = this.#member;
    if (what === 'heartbeat') return `heartbeat ${await member.heartbeat()}`;
    if (what === 'leave') return `leave ${await member.leave()}`;
    const joined = await member.join();
    if (joined.error !== 'NONE') {
      // One that left is known no more: it comes as somebody new.
      member.memberId = '';
      return `join ${joined.error}`;
    }
    const synced = await member.sync({ [member.memberId]: 'all' });
    const who = this.#memberOf(member.memberId);
    return `join ${joined.error} ${who} ${joined.generationId} ${synced.error} ${synced.assignment}`;
  }

  /** A newer epoch amid a transaction keeps Kafka 3.9 from ever ending it: it refuses the marker. */
  #unfatal(epoch: Epoch, isOpen: boolean): Epoch {
    return epoch === 'newer' && isOpen && this.#stage.kafka === '3.9' ? 'current' : epoch;
  }

  #membershipOf(kind: Membership) {
    const { memberId, generationId } = this.#member;
    switch (kind) {
      case 'none':
        return {};
      case 'member':
        return { memberId, generationId };
      case 'stale':
        return { memberId, generationId: Math.max(0, generationId - 1) };
      default:
        return { memberId: 'stranger', generationId: Math.max(0, generationId) };
    }
  }

  /** I1. */
  async #settle(actor: Actor): Promise<void> {
    const { state } = await this.#stage.settled(actor.transactionalId);
    if (state === 'Ongoing') return;
    actor.written.clear();
    if (actor.pending.size === 0) return;
    const ended = [...actor.pending];
    actor.pending.clear();
    const others = this.#actors.flatMap(({ pending }) => [...pending]);
    for (const partition of ended) {
      // An offset that two producers hold, of which one has ended, does not tell.
      if (others.includes(partition)) await this.#stage.applied(this.#topic);
      else await this.#committed({ do: 'committed', partition, stability: 'stable' });
    }
  }

  #become(actor: Actor, { producerId, producerEpoch }: Producer): void {
    const { identity } = actor;
    if (identity.producerId === producerId && identity.producerEpoch === producerEpoch) return;
    actor.identity = { producerId, producerEpoch };
    actor.next = [];
    actor.last = [];
  }

  #values(count: number): string[] {
    return Array.from({ length: count }, () => {
      this.#written += 1;
      return `v${this.#written}`;
    });
  }

  /** -1 is no offset and stays. */
  #relative(partition: number, offset: number): number {
    return offset < 0 ? offset : offset - this.#starts[partition]!;
  }

  #shown({ baseOffset, kind, producerId, epoch, values }: ReadBatch, start: number): string {
    const what = kind === 'data' ? values.join(',') : kind;
    return `${baseOffset - start} ${what} ${this.#idOf(producerId)}@${epoch}`;
  }

  #idOf(producerId: number): string {
    if (producerId < 0) return '-';
    const known = this.#producerIds.get(producerId);
    if (known !== undefined) return known;
    const name = `P${this.#producerIds.size}`;
    this.#producerIds.set(producerId, name);
    return name;
  }

  #memberOf(memberId: string): string {
    const known = this.#memberIds.get(memberId);
    if (known !== undefined) return known;
    const name = `M${this.#memberIds.size}`;
    this.#memberIds.set(memberId, name);
    return name;
  }
}

function claimed(identity: Producer, claim: string): Producer | undefined {
  const { producerId, producerEpoch } = identity;
  // A producer that has no identity cannot claim one.
  if (claim === 'none' || producerId < 0) return undefined;
  if (claim === 'current') return identity;
  if (claim === 'foreign') return { producerId: producerId + FOREIGN_IDS, producerEpoch };
  return { producerId, producerEpoch: Math.max(0, producerEpoch - 1) };
}

function shifted({ identity, madeUp: otherwise }: Actor, epoch: Epoch) {
  const { producerId, producerEpoch } = identity;
  const by = epoch === 'current' ? 0 : epoch === 'older' ? -1 : 1;
  // Without an identity a client would not send at all; a made-up one is as wrong and can be sent.
  return {
    producerId: producerId < 0 ? otherwise : producerId,
    producerEpoch: Math.max(0, producerEpoch + by),
  };
}

function sequenceOf(next: number, sequence: Sequence): number {
  return sequence === 'gap' ? next + 2 : sequence === 'zero' ? 0 : next;
}
