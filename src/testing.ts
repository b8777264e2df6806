/** The second door: what tests of applications need. Nobody runs any of this in production. */
export { Broker } from './broker/broker.ts';
export { brokerTransport } from './broker/in-process.ts';
export type { BrokerOptions } from './broker/options.ts';
export { type Listener, type ListenOptions, listen } from './broker/tcp.ts';
export {
  type Fault,
  type FaultPlan,
  FaultyTransport,
  type PlannedFault,
  planOf,
} from './kafka/transport/faulty.ts';
export { type Clock, type Ports, systemPorts, type Timers } from './ports.ts';
