/**
 * Mutants: the rules of exactly-once, broken one at a time, and who must notice.
 *
 * Each turns a named test red: `kills` is a title (a part of it is enough) in `tests`. `find` stands
 * exactly once in the file. Each but those with `unseen` is noticed by the simulation as well, in one
 * of 500 seeds or in a named case: those are the core.
 */
import { BROKER_MUTANTS } from './broker.ts';
import { FETCH_MUTANTS } from './fetch.ts';
import type { Mutant } from './mutant.ts';
import { STATE_MUTANTS } from './state.ts';
import { TESTING_MUTANTS } from './testing-kit.ts';

const ASSIGNMENT = 'test/exactness/assignment-rules.test.ts';
const LOST = 'test/runtime/lost-changelogs.test.ts';
const STEP = 'test/exactness/step-rules.test.ts';
const RECORD = 'test/exactness/record-rules.test.ts';
const ZOMBIE = 'test/exactness/zombie.test.ts';
const SESSION = 'test/kafka/producer/session.test.ts';
const SESSION_V2 = 'test/kafka/producer/transactions-v2.test.ts';
const EPOCHS = 'test/kafka/producer/epochs.test.ts';
const OVER_BROKER = 'test/kafka/producer/session-broker.test.ts';
const REBALANCE = 'test/exactness/rebalance-rules.test.ts';
const STALL = 'test/exactness/stall-rules.test.ts';

export const MUTANTS: readonly Mutant[] = [
  ...FETCH_MUTANTS,
  ...STATE_MUTANTS,
  ...BROKER_MUTANTS,
  ...TESTING_MUTANTS,
  {
    name: 'offsets-before-fence',
    file: 'src/runtime/assignment.ts',
    find: `  await session.init();
  const fetched = await stableOffsets(parts);`,
    replace: `  const fetched = await stableOffsets(parts);
  await session.init();`,
    tests: ASSIGNMENT,
    kills: 'offsets are read after the fence, so that a last step of the owner before is seen',
  },
  {
    name: 'restore-to-last-stable-offset',
    file: 'src/runtime/assignment.ts',
    find: `    if (ends.lastStableOffset === ends.highWatermark) {
      return { from: ends.logStartOffset, to: ends.highWatermark };
    }`,
    replace: `    return { from: ends.logStartOffset, to: ends.lastStableOffset };`,
    tests: ASSIGNMENT,
    kills: 'a task whose changelog a foreign transaction holds never runs, and says why',
  },
  {
    name: 'restore-uncommitted',
    file: 'src/state/restore.ts',
    find: `isolation: 'read_committed' });`,
    replace: `isolation: 'read_uncommitted' });`,
    tests: ASSIGNMENT,
    kills: 'a successor restores nothing that its predecessor did not commit',
  },
  {
    name: 'lost-offset-is-a-new-start',
    file: 'src/runtime/assignment.ts',
    find: '  if (!hasRun) return;',
    replace: '  return;',
    tests: ASSIGNMENT,
    kills: 'a lost offset of a task that has state is an error, not a new start',
  },
  {
    name: 'lost-changelog-is-made-anew',
    unseen: 'No topic is deleted in the simulation.',
    file: 'src/kafka/admin/topics.ts',
    find: '    await mayCreate(missing);',
    replace: '',
    tests: LOST,
    kills: 'a changelog that was deleted is not made anew while the group has offsets',
  },
  {
    name: 'metadata-decides-what-is-lost',
    unseen: 'It would refuse a start, which changes no result.',
    file: 'src/kafka/admin/topics.ts',
    find: '      if (errorCode === KafkaErrorCode.TOPIC_ALREADY_EXISTS) continue;\n      if (errorCode === KafkaErrorCode.NOT_CONTROLLER) await cluster.topics([]);\n      if (errorCode !== 0) {',
    replace: '      if (errorCode !== 0) {',
    tests: LOST,
    kills: 'an instance that starts for the first time beside a faster one is not refused',
  },
  {
    name: 'no-first-offsets',
    file: 'src/runtime/assignment.ts',
    find: '  await group.step(() => session.commit(step));',
    replace: '',
    tests: ASSIGNMENT,
    kills: 'a first start commits the reset position before the first fetch',
  },
  {
    name: 'ownership-not-proven-after-restore',
    unseen:
      'Behind it stands the membership that each commit of offsets names: the group refuses it.',
    file: 'src/runtime/assignment.ts',
    find: '  await stillOwner(parts, generation);',
    replace: '',
    tests: ASSIGNMENT,
    kills: 'a task heartbeats, fences, reads offsets, then its changelog, then its input',
  },
  {
    name: 'position-advanced-before-commit',
    file: 'src/runtime/task.ts',
    find: `    this.#sealed = null;
    this.#stagedSince = -1;
    this.#run = this.#parts.begin(this.#committed);`,
    replace: `    this.#run = this.#parts.begin(this.#sealed ?? this.#committed);
    this.#sealed = null;
    this.#stagedSince = -1;`,
    tests: STEP,
    kills: 'a refused step is aborted: position and counts go back, its records run again',
  },
  {
    name: 'store-not-rolled-back',
    file: 'src/runtime/task.ts',
    find: '    this.#parts.stores.aborted();',
    replace: '    this.#parts.stores.committed(-1);',
    tests: STEP,
    kills: 'a refused step is aborted: position and counts go back, its records run again',
  },
  {
    name: 'lost-end-taken-as-aborted',
    file: 'src/runtime/task.ts',
    find: `    if (this.#sealed !== null && found.stepId === this.#sealed.stepId) {
      this.#settleCommitted(this.#sealed);
      this.#failure = null;
      this.#state = transition(this.#state, 'open');
      return 'committed';
    }
    if (!sameCommitted(found, this.#committed)) return 'another-owner';`,
    replace: '',
    tests: STEP,
    kills: 'a lost answer of EndTxn is resolved by the step id',
  },
  {
    name: 'lost-end-taken-as-committed',
    file: 'src/runtime/task.ts',
    find: 'this.#sealed !== null && found.stepId === this.#sealed.stepId',
    replace: 'this.#sealed !== null',
    tests: STEP,
    kills: 'a lost request of EndTxn is resolved by the step id',
  },
  {
    name: 'indefinite-answer-repeated',
    file: 'src/kafka/producer/coordinator-asking.ts',
    find: "        if (error.decision !== 'retry') throw error;",
    replace: `        if (error.decision !== 'retry' && error.code !== 'REQUEST_FATE_UNKNOWN') throw error;`,
    tests: STEP,
    kills: "after an answer of 'EndTxn' is lost the session is silent until it has fenced itself",
  },
  {
    name: 'only-moved-offsets',
    file: 'src/runtime/task.ts',
    find: `          bytesMax,
        ),
      })),`,
    replace: `          bytesMax,
        ),
      })).filter(({ offset }, i) => offset !== this.#committed.offsets[i]),`,
    tests: STEP,
    kills: 'every step commits the offsets of all inputs under one step id',
  },
  {
    name: 'membership-not-sent',
    file: 'src/kafka/producer/coordinator-requests.ts',
    find: `        generationId: membership.generation,
        memberId: membership.memberId,
        groupInstanceId: membership.instanceId,`,
    replace: '',
    tests: ZOMBIE,
    kills: 'has its offsets refused by the group before its transactional id is fenced',
  },
  {
    name: 'gap-believed-by-a-zombie',
    unseen: 'A zombie must meet the purge between two fetches of one session; no seed has.',
    file: 'src/runtime/task-life.ts',
    find: `    const reason = await stillOwner({ plan: plan.task(this.id), group }, generation).then(
      () => error,
      asEscapementError,
    );`,
    replace: `    const reason = error;`,
    tests: ZOMBIE,
    kills: 'that finds its next record purged asks the group before it takes it for lost',
  },
  {
    name: 'step-outlives-its-membership',
    unseen:
      'A membership must be lost and had anew within one step; one of some thousand seeds has it.',
    file: 'src/runtime/group-port.ts',
    find: '    membership: () => group.membership().then(unlessOver),',
    replace: '    membership: () => group.membership(),',
    tests: REBALANCE,
    kills: 'a step under way at AddPartitionsToTxn when the membership is lost is not committed',
  },
  {
    name: 'transactional-id-of-the-process',
    file: 'src/runtime/task-life.ts',
    find: 'withDash(parts.id)}`,',
    replace: 'withDash(parts.id)}` + ports.random.fraction(),',
    tests: STEP,
    kills: 'a fenced task that is still ours fences back and goes on',
  },
  {
    name: 'fenced-for-ever',
    unseen:
      'It bounds a fight of two applications over one id; the simulation has one application.',
    file: 'src/runtime/task-life.ts',
    find: '    if (this.#fencedInARow <= FENCED_MAX) return true;',
    replace: '    if (this.#fencedInARow <= 2 * FENCED_MAX) return true;',
    tests: STEP,
    kills: 'a task that is fenced again and again gives up after three attempts',
  },
  {
    name: 'transaction-open-while-calls-are-awaited',
    file: 'src/runtime/task.ts',
    find: "if (this.#state !== 'open' || !progress.moved) return Number.POSITIVE_INFINITY;",
    replace: "if (this.#state !== 'open') return Number.POSITIVE_INFINITY;",
    tests: STEP,
    kills: 'no transaction is open while user code is awaited',
  },
  {
    name: 'failed-record-undone-alone',
    file: 'src/runtime/staged-execution.ts',
    find: 'const undone = this.#window.splice(index);',
    replace: 'const undone = this.#window.splice(index, 1);',
    tests: RECORD,
    kills: 'a record that fails after an asynchronous call takes the later ones with it',
  },
  {
    name: 'input-under-way-is-used-again',
    file: 'src/runtime/staged-execution.ts',
    find: 'keptInput(input), effects',
    replace: 'input, effects',
    tests: 'test/runtime/staged-work.test.ts',
    kills: 'a failure does not begin the waiting calls of the records it undoes',
  },
  {
    name: 'position-passes-records-under-way',
    file: 'src/runtime/task-run.ts',
    find: 'if (execution.unreleased === 0) progress.skipTo(index, offset);',
    replace: 'progress.skipTo(index, offset);',
    tests: RECORD,
    kills: 'a position does not pass a record under way, not even over what has no records',
  },
  {
    name: 'outputs-of-a-failed-record-stay',
    file: 'src/transaction/scope.ts',
    find: 'if (writer.markedSlot === this.#slot) writer.batches.rollback();',
    replace: '',
    tests: RECORD,
    kills: 'a failed record leaves nothing behind: no output, no changelog, no count',
  },
  {
    name: 'count-of-a-failed-record-stays',
    file: 'src/runtime/serial-execution.ts',
    find: 'for (const store of stores) store.rollback(this.#slot - 1);',
    replace: '',
    tests: RECORD,
    kills: 'a failed record leaves nothing behind: no output, no changelog, no count',
  },
  {
    name: 'aborted-input-processed',
    file: 'src/kafka/fetch/node-poller.ts',
    find: 'abortedTransactions: fetched.abortedTransactions,',
    replace: 'abortedTransactions: null,',
    tests: RECORD,
    kills: 'aborted records of an input are passed and never processed',
  },
  {
    name: 'policy-ends-at-a-repartition',
    unseen:
      'A record that fails for good behind a repartition stops every instance; none is in a seed.',
    file: 'src/dsl/repartition.ts',
    find: 'inheritedPolicy(drawing.drafts, node)',
    replace: "{ kind: 'fail' } as const",
    tests: 'test/dsl/inherited-policy.test.ts',
    kills: 'a repartition has the policy that all streams above it have',
  },
  {
    name: 'dead-letter-outside-its-slot',
    file: 'src/runtime/staged-execution.ts',
    find: 'bury(record, failed.error, source, slot.effects);',
    replace: 'bury(record, failed.error, source, this.#parts.scope);',
    tests: RECORD,
    kills: 'a dead letter is undone and written again with its record',
  },
  {
    name: 'stream-time-forgotten',
    file: 'src/runtime/task-run.ts',
    find: 'time: new StreamTime(committed.times),',
    replace: 'time: new StreamTime(committed.times.map(() => -1)),',
    tests: RECORD,
    kills: 'stream time survives a restart: what was late stays late, what was emitted stays so',
  },
  {
    name: 'stream-time-not-committed',
    file: 'src/runtime/task.ts',
    find: '      times: [...progress.times],',
    replace: '      times: progress.times.map(() => -1),',
    tests: RECORD,
    kills: 'stream time survives a restart: what was late stays late, what was emitted stays so',
  },
  {
    name: 'end-without-proof',
    unseen: 'Behind it stands the epoch: who has a successor is refused.',
    file: 'src/kafka/producer/session.ts',
    find: "      await exchange.within(step.offsets.proof(), 'EndTxn');",
    replace: '',
    tests: STALL,
    kills: 'a process that stood still for most of its session beats before it ends a transaction',
  },
  {
    name: 'first-come-first-to-go',
    unseen: 'It costs moves of tasks, not results.',
    file: 'src/kafka/group/assignor.ts',
    find: '.sort((a, b) => a.since - b.since);',
    replace: '.sort((a, b) => b.since - a.since);',
    tests: 'test/kafka/group/assignor.test.ts',
    kills: 'moves in a rolling restart only the tasks of who is restarted, away and back',
  },
  {
    name: 'task-given-to-two',
    unseen: 'One seed in some hundred shows it, and another one with each change of the faults.',
    file: 'src/kafka/group/assignor.ts',
    find: 'for (const task of withheld.sort(byName)) place(task, shares);',
    replace: 'for (const task of withheld.sort(byName)) place(task, shares).given.push(task);',
    tests: 'test/kafka/group/assignor.test.ts',
    kills: 'gives a task to at most one member, and never while another holds a valid claim',
  },
  {
    name: 'join-group-beside-steps',
    unseen: 'One seed in some hundred shows it, and another one with each change of the faults.',
    file: 'src/kafka/group/member.ts',
    find: '    await this.#turns.drained(Math.min(STEPS_BOUND_MS, this.#options.rebalanceTimeoutMs / 2));',
    replace: '',
    tests: REBALANCE,
    kills: 'a JoinGroup is sent when the steps under way have ended, and none of them is undone',
  },
  {
    name: 'no-heartbeats-before-tasks-run',
    unseen: 'A restore that is longer than the session takes more rows than are simulated.',
    file: 'src/kafka/group/member.ts',
    find: '    this.#heartbeats.begin();',
    replace: '',
    tests: REBALANCE,
    kills: 'heartbeats go on through a restore longer than the session, and nobody joins again',
  },
  {
    name: 'claims-of-one-generation-stand',
    unseen: 'No two simulated members claim a task of one generation.',
    file: 'src/kafka/group/assignor.ts',
    find: 'const only = best.memberId === memberId ? memberId : CONTESTED;',
    replace: 'const only = best.memberId;',
    tests: 'test/kafka/group/assignor.test.ts',
    kills: 'takes the higher of two claims, and gives a doubly claimed task to nobody',
  },
  {
    name: 'topology-that-moves-a-topic-admitted',
    unseen: 'All processes of a simulation run one version.',
    file: 'src/kafka/group/profile.ts',
    find: 'if (theirs === undefined || theirs === ours) continue;',
    replace: 'continue;',
    tests: 'test/kafka/group/profile.test.ts',
    kills: 'that moves a changelog is refused while the old one lives',
  },
  {
    name: 'refused-login-repeated',
    unseen: 'Simulated connections have no login.',
    file: 'src/kafka/transport/connection-error.ts',
    find: `  if (isLoginRefused(reason)) {`,
    replace: `  if (isLoginRefused(reason) && false) {`,
    tests: 'test/kafka/transport/connection-error.test.ts',
    kills: 'is not tried again, whatever was sent',
  },
  {
    name: 'refused-token-taken-for-a-login',
    unseen: 'Simulated connections have no login.',
    file: 'src/kafka/transport/oauth-bearer.ts',
    find: `      if (answer.length === 0) return;`,
    replace: `      if (answer.length >= 0) return;`,
    tests: 'test/kafka/transport/oauth-bearer.test.ts',
    kills: 'takes an answer with a text for a refusal',
  },
  {
    name: 'secrets-not-hidden',
    unseen: 'It is about what is logged.',
    file: 'src/kafka/transport/secrets.ts',
    find: `      hidden = hidden.replaceAll(secret, HIDDEN);`,
    replace: `      hidden = hidden.replaceAll(secret, secret);`,
    tests: 'test/kafka/transport/kafkajs-security.test.ts',
    kills: 'are hidden as they are and URL-encoded',
  },
  {
    name: 'purge-beyond-committed',
    file: 'src/runtime/instance.ts',
    find: `      await deleteRecords(cluster, targets);`,
    replace: `      await deleteRecords(cluster, targets.map((each) => ({ ...each, offset: -1 })));`,
    tests: 'test/runtime/purge.test.ts',
    kills: 'records are deleted up to what a step has committed',
  },
  {
    name: 'differences-of-topics-unseen',
    unseen: 'The simulation makes the topics that it needs.',
    file: 'src/kafka/admin/topic-settings.ts',
    find: `    if (needed === undefined || fits(value, needed)) return;`,
    replace: `    if (needed === undefined || fits(value, value)) return;`,
    tests: 'test/kafka/admin/topics.test.ts',
    kills: 'are refused with every difference in one message',
  },
  {
    name: 'internal-topics-with-the-clock-of-the-broker',
    unseen: 'Simulated brokers have no bound for timestamps.',
    file: 'src/runtime/application-plan.ts',
    find: `configs, optionalConfigs: ANY_TIME };`,
    replace: `configs, optionalConfigs: {} };`,
    tests: 'test/runtime/topic-limits.test.ts',
    kills: 'events of the far future pass the internal topics',
  },
  {
    name: 'epoch-of-the-end-ignored',
    file: 'src/kafka/producer/session.ts',
    find: '    this.#begin(next);',
    replace: '',
    tests: OVER_BROKER,
    kills: 'a committed step is visible with its offset, many times over',
  },
  {
    name: 'producer-id-of-the-end-ignored',
    file: 'src/kafka/producer/session.ts',
    find: '    this.#begin(next);',
    replace: '    this.#begin({ ...next, producerId: before.producerId });',
    tests: EPOCHS,
    kills: 'is followed by a new producer id with epoch 0',
  },
  {
    name: 'sequences-not-restarted',
    file: 'src/kafka/producer/partition-writes.ts',
    find: '    this.#sequences.restart();',
    replace: '',
    tests: OVER_BROKER,
    kills: 'a committed step is visible with its offset, many times over',
  },
  {
    name: 'version-changed-within-a-transaction',
    unseen: 'The version of transactions stays the same in a simulation.',
    file: 'src/kafka/producer/transaction-version.ts',
    find: '    endTxn: { versionMax: 4 },',
    replace: '    endTxn: {},',
    tests: SESSION_V2,
    kills: 'is 1 where the cluster has finalized 1',
  },
  {
    name: 'refused-partition-not-sent-again',
    file: 'src/kafka/producer/partition-writes.ts',
    find: '          left.writes.push(write);',
    replace: '',
    tests: SESSION,
    kills: 'a moved partition is written at its new leader, though that has answered already',
  },
  {
    name: 'answers-of-other-leaders-not-awaited',
    unseen: 'What reaches a leader twice it drops by its sequence.',
    file: 'src/kafka/producer/exchange.ts',
    find: 'await Promise.allSettled(',
    replace: `await Promise.all(branches).then(
    () => [] as PromiseSettledResult<void>[],
    (reason: unknown) => [{ status: 'rejected', reason } as PromiseSettledResult<void>],
  );
  void Promise.allSettled(`,
    tests: SESSION,
    kills: 'a leader that fails fast is not repeated into one that has not answered',
  },
  {
    name: 'sequence-reused-after-an-abort',
    file: 'src/kafka/producer/partition-writes.ts',
    find: '    place.next = sequenceAfter(place.next, records);',
    replace: '    if (write.at > 0) place.next = sequenceAfter(place.next, records);',
    tests: SESSION,
    kills: 'moves the sequences of what was appended alone',
  },
  {
    name: 'fence-without-a-fresh-heartbeat',
    file: 'src/runtime/assignment.ts',
    find: '  await group.heartbeat();\n  await session.init();',
    replace: '  await session.init();',
    tests: ASSIGNMENT,
    kills: 'a task heartbeats, fences, reads offsets, then its changelog, then its input',
  },
  {
    name: 'decision-by-offset-instead-of-step-id',
    file: 'src/runtime/task.ts',
    find: 'found.stepId === this.#sealed.stepId',
    replace: 'found.offsets.every((offset, i) => offset === this.#sealed!.offsets[i])',
    tests: 'test/runtime/task.test.ts',
    kills: 'the offset of our step under another id means that another owner ran',
    unseen:
      'Who is no owner any more is told so by the heartbeat before the fence, before it decides: ' +
      'with that alone no other owner can have reached the same offsets.',
  },
  {
    name: 'table-reused-after-a-fence-without-replay',
    file: 'src/runtime/task.ts',
    find: "    if (!sameCommitted(found, this.#committed)) return 'another-owner';",
    replace: '',
    tests: 'test/runtime/task-life.test.ts',
    kills: 'a task whose state another owner has moved on is restored before it goes on',
    unseen:
      'Two processes must believe that they own a task in one generation, which the group does not ' +
      'let happen: the named test makes it happen.',
  },
  {
    name: 'old-generation-sent-during-a-join',
    file: 'src/kafka/group/member.ts',
    find: '    await this.#membershipGate.wait();\n    while (!this.#heartbeats.isProven) {',
    replace: '    while (!this.#heartbeats.isProven) {',
    tests: 'test/kafka/group/member.test.ts',
    kills: 'waits while a JoinGroup is under way, and then names the new generation',
    unseen:
      'The broker refuses an old generation, and the step is made again: it costs time alone.',
  },
];
