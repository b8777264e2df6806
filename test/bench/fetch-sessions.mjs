/**
 * `node test/bench/fetch-sessions.mjs`: what an incremental fetch session (KIP-227) would save, on one
 * real Kafka 4.3.1. The same polls of all partitions of a topic, with the whole list each time and in
 * a session: bytes, CPU of this process and of the broker. See docs/decisions/0017-no-fetch-sessions.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuSeconds } from './measure.mjs';
import { buildPeer, startBroker } from './parts.mjs';

const ours = (file) => import(new URL(`../../dist/src/${file}.js`, import.meta.url));
const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '100' },
    polls: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '3' },
  },
});
const [partitions, polls, rounds] = ['partitions', 'polls', 'rounds'].map((name) =>
  Number(values[name]),
);
const TOPIC = 'sessions';
const VERSION = 12;

const { Cluster } = await ours('kafka/cluster/cluster');
const { kafkajsTransport } = await ours('kafka/transport/kafkajs');
const { systemPorts } = await ours('ports');
const { silentLog } = await ours('telemetry/log');
const { ensureTopics } = await ours('kafka/admin/topics');
const { decodeResponse, encodeRequest } = await ours('kafka/protocol/codec');
const { fetch } = await ours('kafka/protocol/fetch');

const folder = mkdtempSync(join(tmpdir(), 'escapement-sessions-'));
const broker = await startBroker(buildPeer(console.error), folder);
const transport = kafkajsTransport(
  { brokers: [broker.bootstrap] },
  { ports: systemPorts, log: silentLog },
);
const cluster = new Cluster({ transport, ports: systemPorts, log: silentLog });

const asked = Array.from({ length: partitions }, (_, partition) => ({
  partition,
  fetchOffset: 0,
  partitionMaxBytes: 1_048_576,
}));
const everything = [{ topic: TOPIC, partitions: asked }];

async function poll(sessionId, sessionEpoch, topics) {
  const body = encodeRequest(fetch, VERSION, {
    maxWaitMs: 1,
    minBytes: 1,
    maxBytes: 67_108_864,
    isolationLevel: 1,
    sessionId,
    sessionEpoch,
    topics,
  });
  const request = { apiKey: 1, apiVersion: VERSION, body, timeoutMs: 10_000, lane: 'fetch' };
  const answer = await transport.request(1, request);
  const decoded = decodeResponse(fetch, VERSION, answer);
  if (decoded.errorCode !== 0) throw new Error(`Fetch: error ${decoded.errorCode}`);
  return { bytes: body.length + answer.length, sessionId: decoded.sessionId };
}

async function measure(kind) {
  const whole = kind === 'whole list';
  let session = 0;
  if (!whole) session = (await poll(0, 0, everything)).sessionId;
  let bytes = 0;
  const before = [process.cpuUsage(), cpuSeconds(broker.pid)];
  for (let count = 1; count <= polls; count++) {
    bytes += (await (whole ? poll(0, -1, everything) : poll(session, count, []))).bytes;
  }
  const { user, system } = process.cpuUsage(before[0]);
  const brokerUs = (cpuSeconds(broker.pid) - before[1]) * 1e6;
  return {
    kind,
    bytesPerPoll: Math.round(bytes / polls),
    clientUsPerPoll: Math.round((user + system) / polls),
    brokerUsPerPoll: Math.round(brokerUs / polls),
  };
}

try {
  await cluster.start();
  await ensureTopics(cluster, [{ name: TOPIC, partitions, configs: {} }]);
  await cluster.leaderOf(TOPIC, partitions - 1);
  for (let round = -1; round < rounds; round++) {
    for (const kind of ['whole list', 'session']) {
      const figures = await measure(kind);
      if (round >= 0) console.log(JSON.stringify({ partitions, ...figures }));
    }
  }
} finally {
  await cluster.close();
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
