/** What an operator can do, with one body for the embedded broker and for real Kafka. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Admin, openAdmin } from '../../../src/admin.ts';
import type { EscapementError } from '../../../src/errors.ts';
import { ensureTopics } from '../../../src/kafka/admin/topics.ts';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import { endOffsets } from '../../../src/kafka/fetch/end-offsets.ts';
import { addPartitionsToTxn } from '../../../src/kafka/protocol/add-partitions-to-txn.ts';
import { initProducerId } from '../../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../../src/kafka/protocol/join-group.ts';
import { leaveGroup } from '../../../src/kafka/protocol/leave-group.ts';
import { produce } from '../../../src/kafka/protocol/produce.ts';
import { syncGroup } from '../../../src/kafka/protocol/sync-group.ts';
import type { Transport } from '../../../src/kafka/transport/transport.ts';
import { systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { batch } from '../../broker/batch.ts';

export interface AdminTarget {
  transport(): Transport;
  /** Whether a transactional batch is taken without its partition in a transaction, and so hangs. */
  readonly hangs: 'without-verification' | 'by-forgetful-coordinator';
  /** From now on no coordinator tells of any transaction; for `by-forgetful-coordinator`. */
  forget?(): void;
  close(): Promise<void>;
}

const LANE = { lane: 'transaction' } as const;
/** Markers come when they come. */
const WAIT = { timeout: 60_000 };
/** Coordinators of a fresh broker load for a moment, and it learns of a new topic and its leader. */
const PASSING: readonly number[] = [3, 5, 6, 14, 15, 16, 19, 51, 79];

export function adminBehaviour(name: string, start: () => Promise<AdminTarget>): void {
  describe(`the admin on ${name}`, () => {
    let target: AdminTarget;
    let cluster: Cluster;
    let admin: Admin;
    const topic = `admin-${process.pid}-${Math.floor(performance.now())}`;

    beforeAll(async () => {
      target = await start();
      const transport = target.transport();
      cluster = new Cluster({ transport, ports: systemPorts, log: silentLog });
      await cluster.start();
      await ensureTopics(cluster, [{ name: topic, partitions: 2, configs: {} }]);
      admin = await openAdmin({ kafka: { transport: target.transport() } });
    });
    afterAll(async () => {
      await admin?.close();
      await cluster?.close();
      await target?.close();
    });

    const settled = async <T extends { errorCode: number }>(
      kind: 'group' | 'transaction',
      key: string,
      ask: (node: number) => Promise<T>,
    ): Promise<T> => {
      for (;;) {
        const answer = await ask(await cluster.coordinator(kind, key));
        if (!PASSING.includes(answer.errorCode)) return answer;
        cluster.forgetCoordinator(kind, key);
        await systemPorts.timers.sleep(50);
      }
    };

    const init = (transactionalId: string) =>
      settled('transaction', transactionalId, (node) =>
        cluster.send(node, initProducerId, { transactionalId, transactionTimeoutMs: 60_000 }, LANE),
      );

    /** One record in partition 0, in a transaction; `added`: the coordinator knows of the partition. */
    const write = async (transactionalId: string, added: 'added' | 'unknown') => {
      const { producerId, producerEpoch: epoch } = await init(transactionalId);
      if (added === 'added') {
        const body = {
          v3AndBelowTransactionalId: transactionalId,
          v3AndBelowProducerId: producerId,
          v3AndBelowProducerEpoch: epoch,
          v3AndBelowTopics: [{ name: topic, partitions: [0] }],
        };
        const { errorCode } = await settled('transaction', transactionalId, async (node) => {
          const options = { ...LANE, versionMax: 3 };
          const { resultsByTopicV3AndBelow: topics } = await cluster.send(
            node,
            addPartitionsToTxn,
            body,
            options,
          );
          return { errorCode: topics[0]!.resultsByPartition[0]!.partitionErrorCode };
        });
        expect(errorCode).toBe(0);
      }
      const records = batch({
        ...{ values: ['held'], producerId, epoch, sequence: 0, transactional: 'transactional' },
      });
      const written = await settled('transaction', transactionalId, async () => {
        cluster.forgetLeader(topic, 0);
        const answer = await cluster.send(
          await cluster.leaderOf(topic, 0),
          produce,
          {
            ...{ transactionalId, acks: -1, timeoutMs: 5_000 },
            topicData: [{ name: topic, partitionData: [{ index: 0, records }] }],
          },
          { ...LANE, versionMax: 9 },
        );
        return answer.responses[0]!.partitionResponses[0]!;
      });
      expect(written.errorCode).toBe(0);
      return { producerId, epoch };
    };

    const isHeld = async (): Promise<boolean> => {
      const { lastStableOffset, highWatermark } = await endOffsets(cluster, topic, 0);
      return lastStableOffset < highWatermark;
    };

    it('lists, describes and ends the transaction of an id, and its readers go on', async () => {
      const transactionalId = `${topic}-open`;
      const { producerId } = await write(transactionalId, 'added');
      expect(await isHeld()).toBe(true);
      const listed = await admin.listTransactions({ states: ['Ongoing'] });
      expect(listed).toContainEqual({ transactionalId, producerId, state: 'Ongoing' });
      expect(await admin.describeTransaction(transactionalId)).toMatchObject({
        ...{ transactionalId, producerId, state: 'Ongoing', timeoutMs: 60_000 },
        partitions: [{ topic, partition: 0 }],
      });
      const [open] = await admin.openTransactions(topic, 0);
      expect(open).toMatchObject({ topic, partition: 0, producerId });
      const ids = (filter: object) =>
        admin.listTransactions(filter).then((all) => all.map((each) => each.transactionalId));
      expect(await ids({ openForMs: 3_600_000 })).not.toContain(transactionalId);
      await expect.poll(() => ids({ openForMs: 1 }), WAIT).toContain(transactionalId);
      // Its coordinator will end it, so it does not hang.
      expect(await admin.hangingTransactions(topic, 0)).toEqual([]);

      await admin.endTransaction(transactionalId);
      await expect.poll(isHeld, WAIT).toBe(false);
      expect(await admin.openTransactions(topic, 0)).toEqual([]);
    });

    it('knows no id that was never used', async () => {
      const none = `${topic}-never`;
      for (const ask of [() => admin.describeTransaction(none), () => admin.endTransaction(none)]) {
        const error = await ask().then(
          () => null,
          (cause: unknown) => cause as EscapementError,
        );
        expect(error).toMatchObject({ code: 'TRANSACTION_UNKNOWN' });
        expect(error?.message).toContain(none);
      }
      // To ask does not make it known.
      expect((await admin.listTransactions()).map((each) => each.transactionalId)).not.toContain(
        none,
      );
    });

    it('shows a group and its offsets, and changes them while it is empty only', async () => {
      const groupId = `${topic}-group`;
      expect(await admin.describeGroup(groupId)).toMatchObject({
        groupId,
        state: 'Dead',
        members: [],
      });
      expect(await admin.groupOffsets(groupId)).toEqual([]);
      const at = (partition: number, offset: number, metadata = '') => ({
        topic,
        partition,
        offset,
        metadata,
      });
      await admin.alterGroupOffsets(groupId, [at(0, 7, 'mark'), at(1, 3)]);
      expect(
        [...(await admin.groupOffsets(groupId))].sort((a, b) => a.partition - b.partition),
      ).toEqual([at(0, 7, 'mark'), at(1, 3)]);
      expect((await admin.describeGroup(groupId)).state).toBe('Empty');

      const member = await joined(groupId);
      expect(await admin.describeGroup(groupId)).toMatchObject({
        members: [{ memberId: member, instanceId: 'one', clientId: expect.any(String) }],
      });
      const removal = () => admin.deleteGroup(groupId);
      for (const change of [
        () => admin.alterGroupOffsets(groupId, [at(0, 9)]),
        () => admin.deleteGroupOffsets(groupId, [at(0, 7)]),
        removal,
      ]) {
        const error = await change().then(
          () => null,
          (cause: unknown) => cause as EscapementError,
        );
        expect(error).toMatchObject({ code: 'GROUP_ACTIVE' });
        expect(error?.message).toContain(`'${groupId}' is active`);
        if (change !== removal) expect(error?.message).toContain('it has the members one');
      }
      expect(await admin.groupOffsets(groupId)).toHaveLength(2);

      await left(groupId, member);
      await admin.deleteGroupOffsets(groupId, [at(0, 7)]);
      expect(await admin.groupOffsets(groupId)).toEqual([at(1, 3)]);
      await admin.deleteGroup(groupId);
      expect(await admin.groupOffsets(groupId)).toEqual([]);
    });

    const joined = async (groupId: string): Promise<string> => {
      const join = (memberId: string) =>
        settled('group', groupId, (node) =>
          cluster.send(
            node,
            joinGroup,
            {
              ...{ groupId, memberId, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 },
              ...{ groupInstanceId: 'one', protocolType: 'consumer' },
              protocols: [{ name: 'p', metadata: Buffer.alloc(4) }],
            },
            { lane: 'group', versionMin: 5 },
          ),
        );
      const { memberId, generationId, errorCode } = await join('');
      expect(errorCode).toBe(0);
      const assignment = Buffer.alloc(4);
      await cluster.send(
        await cluster.coordinator('group', groupId),
        syncGroup,
        {
          groupId,
          generationId,
          memberId,
          groupInstanceId: 'one',
          assignments: [{ memberId, assignment }],
        },
        { lane: 'group', versionMin: 3 },
      );
      return memberId;
    };

    const left = async (groupId: string, memberId: string): Promise<void> => {
      await cluster.send(
        await cluster.coordinator('group', groupId),
        leaveGroup,
        { groupId, members: [{ memberId, groupInstanceId: 'one' }] },
        { lane: 'group', versionMin: 3 },
      );
    };

    it('finds a transaction that hangs, and ends it by markers', async () => {
      const added = target.hangs === 'without-verification' ? 'unknown' : 'added';
      const { producerId } = await write(`${topic}-hanging`, added);
      target.forget?.();
      await expect.poll(isHeld, WAIT).toBe(true);
      expect(await admin.hangingTransactions(topic, 3_600_000_000_000)).toEqual([]);
      const hanging = await admin.hangingTransactions(topic, 0);
      expect(hanging).toMatchObject([{ topic, partition: 0, producerId }]);
      const wrong = { ...hanging[0]!, firstOffset: hanging[0]!.firstOffset + 1 };
      await expect(admin.abortHanging(wrong)).rejects.toMatchObject({
        code: 'TRANSACTION_UNKNOWN',
      });
      await admin.abortHanging(hanging[0]!);
      await expect.poll(isHeld, WAIT).toBe(false);
      expect(await admin.hangingTransactions(topic, 0)).toEqual([]);
    });
  });
}
