/** The public door: everything that an application imports. */
export { type Admin, type AdminOptions, openAdmin } from './admin.ts';
export { DEFAULTS, LIMITS, type Options } from './config/options.ts';
export { type AggregateOptions, aggregate } from './dsl/aggregate.ts';
export type { AsyncOptions } from './dsl/async-options.ts';
export { type CountOptions, count } from './dsl/count.ts';
export { filter } from './dsl/filter.ts';
export { flatMapValues } from './dsl/flat-map-values.ts';
export type { KStream, StreamOf } from './dsl/k-stream.ts';
export { type MapAsyncOptions, mapAsync } from './dsl/map-async.ts';
export { mapValues } from './dsl/map-values.ts';
export { merge } from './dsl/merge.ts';
export { peek } from './dsl/peek.ts';
export { deadLetter, fail, retry, skip } from './dsl/policy.ts';
export { type RepartitionOptions, repartition } from './dsl/repartition.ts';
export { selectKey } from './dsl/select-key.ts';
export { to } from './dsl/to.ts';
export { type StreamOptions, type TopologyBuilder, topology } from './dsl/topology.ts';
export { type ValuesOptions, values } from './dsl/values.ts';
export { type TimeWindow, tumbling } from './dsl/window.ts';
export { type WindowedAggregateOptions, windowedAggregate } from './dsl/windowed-aggregate.ts';
export {
  type Coordinates,
  type Decision,
  ERRORS,
  type ErrorCode,
  EscapementError,
} from './errors.ts';
export { kafkajsTransport } from './kafka/transport/kafkajs.ts';
export { type Transport, TransportError } from './kafka/transport/transport.ts';
export { type Application, type RunOptions, run } from './run.ts';
export type { InstanceState, RuntimeListener } from './runtime/listener.ts';
export { type AvroOptions, type AvroSerde, avro } from './serde/avro.ts';
export { bytes } from './serde/bytes.ts';
export { type ConfluentRegistryOptions, confluentRegistry } from './serde/confluent-registry.ts';
export { type SerdeOptions, serde } from './serde/custom.ts';
export { json } from './serde/json.ts';
export { bigintLong, long } from './serde/long.ts';
export { type MemoryRegistry, memoryRegistry } from './serde/memory-registry.ts';
export type { Registry } from './serde/registry.ts';
export type { Serde } from './serde/serde.ts';
export { type ServedRegistry, serveRegistry } from './serde/serve-registry.ts';
export { string } from './serde/string.ts';
export { windowedSerde } from './serde/windowed.ts';
export type { Log } from './telemetry/log.ts';
export type { MetricName, MetricsSnapshot } from './telemetry/metrics.ts';
export { describe } from './topology/describe.ts';
export type { RecordPolicy, Topology } from './topology/node.ts';
export type { Header, Keyed, Origin, Rekeyed } from './topology/record.ts';
export { Rec, Windowed } from './topology/record.ts';
