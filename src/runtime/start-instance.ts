/** One instance over a transport, from options to a running member: the way that `run` takes. */
import type { Options } from '../config/options.ts';
import { Cluster } from '../kafka/cluster/cluster.ts';
import type { Transport } from '../kafka/transport/transport.ts';
import type { Ports } from '../ports.ts';
import type { Log } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Topology } from '../topology/node.ts';
import { planApplication } from './application-plan.ts';
import { Instance } from './instance.ts';
import type { RuntimeListener } from './listener.ts';

export interface StartInstanceOptions {
  readonly topology: Topology;
  readonly transport: Transport;
  readonly options: Options;
  readonly ports: Ports;
  readonly log: Log;
  readonly listener: RuntimeListener;
  /** Told of the instance before it joins its group. */
  readonly created?: (instance: Instance) => void;
}

/** Resolves when the instance has joined its group; rejects with nothing left running. */
export async function startInstance(given: StartInstanceOptions): Promise<Instance> {
  const { topology, transport, options, ports, log, listener, created } = given;
  const metrics = new Metrics();
  // A lookup that is lost must leave the heartbeat behind it enough of the session.
  const lookupAttemptMs = Math.ceil(options.sessionTimeoutMs / 3);
  const cluster = new Cluster({ transport, ports, log, metrics, lookupAttemptMs });
  try {
    await cluster.start();
    const plan = await planApplication(topology, cluster, options);
    const instance = new Instance({ plan, cluster, options, ports, log, listener, metrics });
    created?.(instance);
    await instance.start();
    return instance;
  } catch (cause) {
    await cluster.close().catch(() => {});
    throw cause;
  }
}
