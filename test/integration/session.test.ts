/**
 * The transactional session on real Kafka: v1 on 3.9.1, v2 on 4.3.1. What is committed is read back
 * by kafkajs's decoder of raw batches, not by the reader under test.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureTopics } from '../../src/kafka/admin/topics.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { readRange } from '../../src/kafka/fetch/read-range.ts';
import { fetchOffsets } from '../../src/kafka/group/offsets.ts';
import type { Membership } from '../../src/kafka/producer/step.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
