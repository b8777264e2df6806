/**
 * Plays random sequences on an embedded target and on the Kafka it is held to, many at a time, and
 * shrinks one that is answered differently to the commands that are needed for it.
 */
import { createTopics } from '../../../src/kafka/protocol/create-topics.ts';
import { Stage } from '../stage.ts';
import type { Target } from '../target.ts';
import {
  type Command,
  describeCommand,
  PARTITIONS,
  type Plan,
  type Protocol,
  planOf,
} from './commands.ts';
import { play, type Transcript } from './play.ts';

export interface Pair {
  readonly embedded: Target;
  readonly real: Target;
  readonly versions: readonly Protocol[];
}

const LANES = 16;
const TOPICS_AT_ONCE = 16;
/** A partition costs a real broker half a dozen files. */
const PLAYS_PER_TOPIC = 25;
const SHRINKS_MAX = 120;

/** Plays the sequences of the seeds; the reports of those that differ, the first ones shrunk. */
export async function differences(pair: Pair, seeds: readonly number[]): Promise<string[]> {
  const waiting = [...seeds];
  const found: Plan[] = [];
  const topics = new Topics();
  const work = async () => {
    const lane = await Lane.open(pair, topics);
    try {
      for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
        const plan = planOf(seed, pair.versions);
        const [embedded, real] = await lane.play(plan);
        if (differenceOf(embedded, real) !== null) found.push(plan);
      }
    } finally {
      lane.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(LANES, seeds.length) }, work));
  found.sort((a, b) => a.seed - b.seed);
  const shown = await reportsOf(pair, topics, found.slice(0, 3));
  const rest = found.slice(3).map(({ seed }) => `seed ${seed} differs, too`);
  return [...shown, ...rest];
}

/** One plan on both, with the report of its shortest form: null when they answer alike. */
async function reportsOf(pair: Pair, topics: Topics, plans: readonly Plan[]): Promise<string[]> {
  const lane = await Lane.open(pair, topics);
  try {
    const reports: string[] = [];
    for (const plan of plans) reports.push(await reportOf(lane, await shrunk(lane, plan)));
    return reports;
  } finally {
    lane.close();
  }
}

async function shrunk(lane: Lane, plan: Plan): Promise<Plan> {
  let commands = plan.commands;
  let left = SHRINKS_MAX;
  for (let size = Math.ceil(commands.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = commands.length - size; at >= 0 && left > 0; left--) {
      const shorter: Command[] = [...commands.slice(0, at), ...commands.slice(at + size)];
      const [embedded, real] = await lane.play({ ...plan, commands: shorter });
      if (differenceOf(embedded, real) !== null) commands = shorter;
      at = Math.min(at, commands.length) - size;
    }
  }
  return { ...plan, commands };
}

async function reportOf(lane: Lane, plan: Plan): Promise<string> {
  const [embedded, real] = await lane.play(plan);
  const lines = [`seed ${plan.seed}, protocols ${plan.protocols.join(' ')}`];
  const put = (label: string, one: string | undefined, two: string | undefined) => {
    if (one === two) lines.push(`    ${label}${one}`);
    else
      lines.push(`  ! ${label}embedded: ${one}`, `  ! ${' '.repeat(label.length)}Kafka:    ${two}`);
  };
  for (const [index, command] of plan.commands.entries()) {
    lines.push(`  ${describeCommand(command)}`);
    put('  ', embedded.answers[index], real.answers[index]);
  }
  if (differenceOf(embedded, real) === null) lines.push('  (not seen again: it depends on time)');
  for (const [index, line] of embedded.remains.entries()) put('', line, real.remains[index]);
  return lines.join('\n');
}

/** The first line that differs, or null. */
function differenceOf(one: Transcript, two: Transcript): string | null {
  const left = [...one.answers, ...one.remains];
  const right = [...two.answers, ...two.remains];
  const at = left.findIndex((line, index) => line !== right[index]);
  return at < 0 ? null : `${left[at]} / ${right[at]}`;
}

/** One sequence after the other, on a connection to each target. */
class Lane {
  readonly #stages: readonly [Stage, Stage];
  readonly #topics: Topics;
  #names: readonly string[] = [];
  #plays = 0;

  private constructor(stages: readonly [Stage, Stage], topics: Topics) {
    this.#stages = stages;
    this.#topics = topics;
  }

  static async open({ embedded, real }: Pair, topics: Topics): Promise<Lane> {
    return new Lane([await Stage.open(embedded), await Stage.open(real)], topics);
  }

  async play(plan: Plan): Promise<[Transcript, Transcript]> {
    if (this.#plays % PLAYS_PER_TOPIC === 0) await this.#renew();
    this.#plays += 1;
    const on = (index: 0 | 1) =>
      play({ stage: this.#stages[index], topic: this.#names[index]! }, plan);
    const [embedded, real] = await Promise.all([on(0), on(1)]);
    // Logs that differ must not tell on the sequences behind.
    if (differenceOf(embedded, real) !== null) this.#plays = 0;
    return [embedded, real];
  }

  async #renew(): Promise<void> {
    this.#names = await Promise.all(this.#stages.map((stage) => this.#topics.take(stage)));
  }

  close(): void {
    for (const stage of this.#stages) stage.close();
  }
}

/** Fresh topics, made many at a time: that costs a controller hardly more than one. */
class Topics {
  readonly #ready = new Map<Target, string[]>();
  readonly #making = new Map<Target, Promise<void>>();

  async take(stage: Stage): Promise<string> {
    const { target } = stage;
    for (;;) {
      const name = this.#ready.get(target)?.pop();
      if (name !== undefined) {
        await stage.served(name, PARTITIONS);
        return name;
      }
      let making = this.#making.get(target);
      if (making === undefined) {
        making = this.#make(stage).finally(() => this.#making.delete(target));
        this.#making.set(target, making);
      }
      await making;
    }
  }

  async #make(stage: Stage): Promise<void> {
    const names = Array.from({ length: TOPICS_AT_ONCE }, () => stage.name('sequence'));
    const topics = names.map((name) => ({
      name,
      numPartitions: PARTITIONS,
      replicationFactor: 1,
      assignments: [],
      configs: [],
    }));
    await stage.client.ask(createTopics, 5, { topics, timeoutMs: 30_000 });
    this.#ready.set(stage.target, names);
  }
}
