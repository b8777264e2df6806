/**
 * What must hold of any topology before it runs, as data: names, and how nodes hang together.
 *
 * Every problem is found in one go, each naming its operator and the mend.
 */
import { collisionKey, nameProblem } from './names.ts';
import type { RecordPolicy, Topology, TopologyNode } from './node.ts';
import { storeOf } from './sub-topologies.ts';

/** Empty when the topology is sound. */
export function topologyProblems(topology: Topology): readonly string[] {
  const problems: string[] = [];
  const add = (node: TopologyNode, problem: string | null): void => {
    if (problem !== null) problems.push(`${calledBy(node)}: ${problem}`);
  };
  const unfit = nameProblem(topology.name);
  if (unfit !== null) problems.push(`topology('${topology.name}'): ${unfit}`);
  if (topology.nodes.length === 0) {
    problems.push(`topology('${topology.name}'): it reads no topic: begin with stream()`);
  }
  const known = new Set<string>();
  for (const node of topology.nodes) {
    if (known.has(node.id)) add(node, `another operator has the name '${node.id}': choose one`);
    for (const parent of node.parents) {
      if (!known.has(parent)) add(node, `it follows '${parent}', which is not drawn before it`);
    }
    known.add(node.id);
    for (const problem of nodeProblems(node)) add(node, problem);
  }
  return [...problems, ...commonNames(topology)];
}

/** How the user wrote it: `aggregate('counts')`. */
export function calledBy(node: TopologyNode): string {
  switch (node.kind) {
    case 'source':
      return node.repartition === null
        ? `stream('${node.topic}')`
        : `repartition('${node.repartition}')`;
    case 'sink':
      return `to('${node.topic}')`;
    case 'repartition':
      return `repartition('${node.name}')`;
    case 'aggregate':
      return `${node.writtenAs ?? node.kind}('${node.store}')`;
    case 'windowedAggregate':
      return `${node.kind}('${node.store}')`;
    case 'segment':
      return node.called ?? node.id;
    case 'filter':
    case 'mapValues':
    case 'flatMapValues':
    case 'selectKey':
    case 'peek':
    case 'merge':
    case 'mapAsync':
    case 'late':
      return node.id;
  }
}

function nodeProblems(node: TopologyNode): readonly string[] {
  switch (node.kind) {
    case 'source':
      if (node.repartition !== null) return problemsOf(policyProblems(node.onError));
      return problemsOf([
        nameProblem(node.topic),
        node.subTopology === undefined ? null : nameProblem(node.subTopology),
        ...policyProblems(node.onError),
      ]);
    case 'sink':
      return problemsOf([nameProblem(node.topic)]);
    case 'repartition':
      return problemsOf([nameProblem(node.name)]);
    case 'aggregate':
    case 'windowedAggregate':
      return problemsOf([nameProblem(node.store)]);
    case 'filter':
    case 'mapValues':
    case 'flatMapValues':
    case 'selectKey':
    case 'peek':
    case 'merge':
    case 'segment':
    case 'mapAsync':
    case 'late':
      return problemsOf([nameProblem(node.id)]);
  }
}

function problemsOf(found: readonly (string | null)[]): readonly string[] {
  return found.filter((problem) => problem !== null);
}

/** What is wrong with a policy; `null` stands for nothing. */
export function policyProblems(policy: RecordPolicy | undefined): readonly (string | null)[] {
  switch (policy?.kind) {
    case 'fail':
    case 'skip':
      return [];
    case 'dead-letter': {
      const problem = nameProblem(policy.topic);
      return [problem === null ? null : `deadLetter: ${problem}`];
    }
    case 'retry': {
      const { attempts, then } = policy;
      const whole = Number.isSafeInteger(attempts) && attempts >= 1;
      const problem = `retry: attempts must be a whole number from 1, not ${String(attempts)}`;
      return [whole ? null : problem, ...policyProblems(then)];
    }
    default:
      return ['onError must be fail(), skip(), deadLetter(topic) or retry(attempts, then)'];
  }
}

/** One topic read twice, one store or repartition topic named twice. */
function commonNames(topology: Topology): readonly string[] {
  const problems: string[] = [];
  const first = { topic: new Map<string, TopologyNode>(), store: new Map<string, TopologyNode>() };
  const claim = (what: 'topic' | 'store', name: string | null, node: TopologyNode): void => {
    // A name that is unfit, or missing in plain JavaScript, is reported as such.
    if (name === null || nameProblem(name) !== null) return;
    const other = first[what].get(collisionKey(name));
    if (other === undefined) first[what].set(collisionKey(name), node);
    else problems.push(what === 'topic' ? readTwice(node, other) : storedTwice(node, other));
  };
  for (const node of topology.nodes) {
    if (node.kind === 'source') claim('topic', node.topic, node);
    claim('store', storeOf(node), node);
  }
  return problems;
}

function storedTwice(node: TopologyNode, other: TopologyNode): string {
  return (
    `${calledBy(node)}: ${calledBy(other)} has a store of the same name ('.' and '_' count as ` +
    `one): choose another`
  );
}

function readTwice(node: TopologyNode, other: TopologyNode): string {
  const both = calledBy(node) === calledBy(other) && node.kind === 'source';
  if (both && node.repartition === null) {
    return `${calledBy(node)}: the topic is read twice: call stream() once and use it twice`;
  }
  return (
    `${calledBy(node)}: ${calledBy(other)} has the same name ('.' and '_' count as one), and ` +
    `tasks are named after what they read: choose another name`
  );
}
