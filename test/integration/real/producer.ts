/** Records for tests on real brokers, written by kafkajs. */
import { Kafka, logLevel, Partitioners } from 'kafkajs';

/** Writes rows of key and value; by default to partition 0, now. */
export async function writeRows(
  bootstrap: string,
  topic: string,
  rows: readonly (readonly [key: string, value: string])[],
  { timestamp = Date.now(), partition = 0 } = {},
): Promise<void> {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  try {
    await producer.send({
      topic,
      messages: rows.map(([key, value]) => ({
        key,
        value,
        partition,
        timestamp: String(timestamp),
      })),
    });
  } finally {
    await producer.disconnect();
  }
}
