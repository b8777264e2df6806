/**
 * Three real brokers whose clients reach them through proxies. Brokers tell clients the proxies'
 * addresses; among themselves they talk past them, and so do those who look on.
 */
import { freePorts } from '../free-ports.ts';
import type { KafkaVersion } from '../integration/real/kafka.ts';
import { type RealCluster, startKafkaCluster } from '../integration/real/kafka-cluster.ts';
import { ChaosProxy, type Injected } from './proxy.ts';
import type { ProxyPlan } from './proxy-faults.ts';

export interface ProxiedCluster {
  readonly cluster: RealCluster;
  /** Addresses for those who look on. */
  readonly direct: readonly string[];
  /** Addresses for the application. */
  readonly proxied: readonly string[];
  readonly proxies: readonly ChaosProxy[];
  setPlan(plan: ProxyPlan): void;
  setLives(lifeMs: (() => number) | null): void;
  stop(): Promise<void>;
}

export interface ProxiedClusterOptions {
  readonly version: KafkaVersion;
  /** Where the nodes live; the caller removes it. */
  readonly folder: string;
  readonly injected: (injected: Injected) => void;
}

const NODES = 3;
const LOGGER = '-Dorg.slf4j.simpleLogger';
/** `server.log` in each node's folder says who came and went in the group. */
const LOGGED = [
  `${LOGGER}.logFile=server.log`,
  `${LOGGER}.showDateTime=true`,
  `${LOGGER}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS`,
  `${LOGGER}.log.kafka.coordinator.group=info`,
  `${LOGGER}.log.org.apache.kafka.coordinator.group=info`,
];

export async function startProxiedCluster({
  version,
  folder,
  injected,
}: ProxiedClusterOptions): Promise<ProxiedCluster> {
  const ports = await freePorts(2 * NODES);
  let connections = 0;
  const number = (): number => {
    connections += 1;
    return connections;
  };
  const proxies: ChaosProxy[] = [];
  for (let at = 0; at < NODES; at += 1) {
    const options = { node: at + 1, target: ports[NODES + at]!, number, injected };
    proxies.push(await ChaosProxy.listen(ports[at]!, options));
  }
  const cluster = await startKafkaCluster({
    version,
    folder,
    jvm: LOGGED,
    // A node that came back leads again soon, and then nothing moves any more.
    settings: {
      'leader.imbalance.check.interval.seconds': '1',
      'leader.imbalance.per.broker.percentage': '0',
      // A node that only comes late, on a machine that stood still, stays where it is: a partition
      // that has no leader for a moment may keep a transaction open for ever (KAFKA-20734).
      'broker.session.timeout.ms': '9000',
      'replica.lag.time.max.ms': '30000',
    },
    nodeSettings: ({ id, port, controllerPort }) => ({
      listeners: [
        `PLAINTEXT://127.0.0.1:${port}`,
        `CONTROLLER://127.0.0.1:${controllerPort}`,
        `PROXIED://127.0.0.1:${ports[NODES + id - 1]}`,
      ].join(),
      'advertised.listeners': [
        `PLAINTEXT://127.0.0.1:${port}`,
        `PROXIED://127.0.0.1:${ports[id - 1]}`,
      ].join(),
      'listener.security.protocol.map':
        'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
      'inter.broker.listener.name': 'PLAINTEXT',
    }),
  });
  return {
    cluster,
    direct: cluster.nodes.map(({ address }) => address),
    proxied: proxies.map((_, at) => `127.0.0.1:${ports[at]}`),
    proxies,
    setPlan: (plan) => {
      for (const proxy of proxies) proxy.setPlan(plan);
    },
    setLives: (lifeMs) => {
      for (const proxy of proxies) proxy.setLives(lifeMs);
    },
    async stop() {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await cluster.stop();
    },
  };
}
