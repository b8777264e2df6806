/**
 * `npm run bench:codec`: record batches encoded and decoded beside kafkajs 2.2.4, in one process.
 *
 * Encode: records to the whole Produce request. Decode: a Fetch answer to every record's offset,
 * timestamp, key, value and headers. Both sides work on the same bytes, and before anything is timed
 * their results are compared: the same batch, byte for byte, and the same records.
 */
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const ours = (file) => import(new URL(`../../dist/src/kafka/${file}.js`, import.meta.url));
const theirs = (file) => require(`kafkajs/src/${file}`);

const HELP = `npm run bench:codec -- [options]

  --records N     records in a batch (1000)
  --value-bytes N size of a value (100); keys have 16 bytes
  --seconds N     time of each of the eight figures (3)
  --json          one line of JSON instead of the table
  --help

  Figures are records a second of CPU time, user and system, of this process: the slices of both
  codecs take turns, and of each codec's slices the one at the tenth percentile counts.
`;

/** What a ratio must reach for exit code 0. */
const EXPECTED = { encode: 18, decode: 5 };
const SLICE_MS = 40;
const LEADER_EPOCH_AT = 12;
const FIRST_TIME = 1_700_000_000_000;
const HEADERS = 2;
const TOPIC = 'bench';
const IDENTITY = { producerId: 4_000_000_017, producerEpoch: 3, baseSequence: 11 };

class BenchFailed extends Error {}

function readOptions() {
  const text = (otherwise) => ({ type: 'string', default: otherwise });
  const { values } = parseArgs({
    options: {
      records: text('1000'),
      'value-bytes': text('100'),
      seconds: text('3'),
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name, greatest) => {
    const value = Number(values[name]);
    if (values[name] !== '' && value > 0 && value <= greatest) return value;
    throw new BenchFailed(`--${name} ${values[name]}: a number above 0, at most ${greatest}`);
  };
  const options = {
    records: Math.ceil(number('records', 100_000)),
    valueBytes: Math.ceil(number('value-bytes', 100_000)),
    seconds: number('seconds', 600),
    json: values.json,
    help: values.help,
  };
  return options;
}

/** The same records for both: keys, values and headers are bytes already. */
function makeRecords({ records, valueBytes }, headers) {
  return Array.from({ length: records }, (_, index) => {
    const value = Buffer.alloc(valueBytes, `value ${index * 7919} `);
    const timestamp = FIRST_TIME + index * 3;
    const key = Buffer.from(`key-${String(index).padStart(12, '0')}`);
    const given = Array.from({ length: headers }, (_, at) => ({
      key: `header-${at}`,
      value: Buffer.from(`content ${index + at}`.padEnd(16)),
    }));
    return { timestamp, key, value, headers: given };
  });
}

async function makeEscapement() {
  const { BatchWriter, sealBatch } = await ours('records/batch-writer');
  const { parseFetched } = await ours('records/parse-fetched');
  const { RecordCursor } = await ours('records/record-cursor');
  const { readHeaders } = await ours('records/headers');
  const { encodeRequest, decodeResponse } = await ours('protocol/codec');
  const { produce } = await ours('protocol/produce');
  const { fetch } = await ours('protocol/fetch');
  const writer = new BatchWriter({ batchBytesMax: 100_000_000 });
  const cursor = new RecordCursor();
  /** Calls `see(cursor, headers)` for each record. */
  const decode = (answer, see) => {
    const { responses } = decodeResponse(fetch, 11, answer);
    const { records, abortedTransactions } = responses[0].partitions[0];
    const options = { fetchOffset: 0, isolation: 'read_committed', abortedTransactions };
    cursor.load(parseFetched(records, options));
    while (cursor.next()) {
      const { buffer, headersStart, headerCount } = cursor;
      see(cursor, headerCount === 0 ? [] : readHeaders(buffer, headersStart, headerCount));
    }
  };
  return {
    encode(records) {
      for (const { timestamp, key, value, headers } of records) {
        const given = headers.length === 0 ? null : headers;
        writer.append(timestamp, key, 0, key.length, value, 0, value.length, given);
      }
      const sealed = sealBatch(writer.take()[0], { ...IDENTITY, transactional: 'transactional' });
      const partitionData = [{ index: 0, records: sealed }];
      const topicData = [{ name: TOPIC, partitionData }];
      const request = { transactionalId: 'bench', acks: -1, timeoutMs: 5_000, topicData };
      return encodeRequest(produce, 7, request);
    },
    decode(answer) {
      let sum = 0;
      decode(answer, ({ offset, timestamp, keyEnd, valueEnd }, headers) => {
        sum += offset + (timestamp % 7) + keyEnd + valueEnd + headers.length;
      });
      return sum;
    },
    list(answer) {
      const listed = [];
      decode(
        answer,
        ({ offset, timestamp, buffer, keyStart, keyEnd, valueStart, valueEnd }, hs) => {
          const key = buffer.toString('latin1', keyStart, keyEnd);
          const value = buffer.toString('latin1', valueStart, valueEnd);
          listed.push([offset, timestamp, key, value, ...hs.map((h) => `${h.key}=${h.value}`)]);
        },
      );
      return listed;
    },
  };
}

function makeKafkajs() {
  const produce = theirs('protocol/requests/produce/v7/request');
  const fetch = theirs('protocol/requests/fetch/v11/response');
  const Batch = theirs('consumer/batch');
  const Long = theirs('utils/long');
  const batchOf = async (answer) => {
    const { responses } = await fetch.decode(answer);
    return new Batch(TOPIC, '0', responses[0].partitions[0]);
  };
  return {
    messages: (records) =>
      records.map(({ timestamp, key, value, headers }) => ({
        timestamp,
        key,
        value,
        headers: Object.fromEntries(headers.map((header) => [header.key, header.value])),
      })),
    async encode(messages) {
      const { producerId, producerEpoch, baseSequence: firstSequence } = IDENTITY;
      const partitions = [{ partition: 0, firstSequence, messages }];
      const request = produce({
        acks: -1,
        timeout: 5_000,
        transactionalId: 'bench',
        producerId: Long.fromNumber(producerId),
        producerEpoch,
        topicData: [{ topic: TOPIC, partitions }],
      });
      return (await request.encode()).buffer;
    },
    async decode(answer) {
      let sum = 0;
      for (const { offset, timestamp, key, value, headers } of (await batchOf(answer)).messages) {
        sum += offset.length + timestamp.length + key.length + value.length;
        if (headers !== undefined) sum += 1;
      }
      return sum;
    },
    async list(answer) {
      return (await batchOf(answer)).messages.map((message) => [
        Number(message.offset),
        Number(message.timestamp),
        message.key.toString('latin1'),
        message.value.toString('latin1'),
        ...Object.entries(message.headers).map(([key, value]) => `${key}=${value}`),
      ]);
    },
  };
}

/** A view into the request. */
async function batchIn(request) {
  const { decodeRequest } = await ours('protocol/codec');
  const { produce } = await ours('protocol/produce');
  return decodeRequest(produce, 7, request).topicData[0].partitionData[0].records;
}

/** The request's batch, in a Fetch answer as a broker would send it. */
async function answerWith(request) {
  const { encodeResponse } = await ours('protocol/codec');
  const { fetch } = await ours('protocol/fetch');
  const records = await batchIn(request);
  const partition = {
    partitionIndex: 0,
    errorCode: 0,
    highWatermark: 1_000_000,
    lastStableOffset: 1_000_000,
    logStartOffset: 0,
    abortedTransactions: [],
    records,
  };
  const responses = [{ topic: TOPIC, partitions: [partition] }];
  return encodeResponse(fetch, 11, { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses });
}

/** The leader epoch is the broker's to write: ours is -1, kafkajs's 0. */
async function withoutLeaderEpoch(request) {
  const bytes = Buffer.from(request);
  (await batchIn(bytes)).writeInt32BE(-1, LEADER_EPOCH_AT);
  return bytes;
}

async function verify(escapement, kafkajs, records) {
  const own = Buffer.from(escapement.encode(records));
  const foreign = await withoutLeaderEpoch(await kafkajs.encode(kafkajs.messages(records)));
  if (!own.equals(foreign)) throw new BenchFailed('the codecs wrote different requests');
  const answer = await answerWith(own);
  const ownList = JSON.stringify(escapement.list(answer));
  if (ownList !== JSON.stringify(await kafkajs.list(answer))) {
    throw new BenchFailed('the codecs read different records');
  }
  const wanted = records.map(({ timestamp, key, value, headers }, offset) => [
    offset,
    timestamp,
    key.toString('latin1'),
    value.toString('latin1'),
    ...headers.map((header) => `${header.key}=${header.value}`),
  ]);
  if (ownList !== JSON.stringify(wanted))
    throw new BenchFailed('the records read are not those written');
  return answer;
}

/** CPU nanoseconds of a slice per call of `run`. */
async function slice(run) {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  let calls = 0;
  do {
    const pending = run();
    if (pending instanceof Promise) await pending;
    calls += 1;
  } while (performance.now() - begun < SLICE_MS);
  const { user, system } = process.cpuUsage(cpu);
  return ((user + system) * 1_000) / calls;
}

/** Both in turns; the first tenth, for the compilers, is thrown away. */
async function race(runs, seconds, records) {
  const slices = runs.map(() => []);
  const rounds = Math.max(10, Math.ceil((seconds * 1_000) / SLICE_MS));
  for (let round = -Math.ceil(rounds / 10); round < rounds; round++) {
    for (const [index, run] of runs.entries()) {
      const figure = await slice(run);
      if (round >= 0) slices[index].push(figure);
    }
  }
  return slices.map((figures) => {
    figures.sort((a, b) => a - b);
    return figures[Math.floor(figures.length / 10)] / records;
  });
}

async function measure(options) {
  const escapement = await makeEscapement();
  const kafkajs = makeKafkajs();
  const rows = [];
  for (const headers of [0, HEADERS]) {
    const records = makeRecords(options, headers);
    const answer = await verify(escapement, kafkajs, records);
    const messages = kafkajs.messages(records);
    const pairs = {
      encode: [() => escapement.encode(records), () => kafkajs.encode(messages)],
      decode: [() => escapement.decode(answer), () => kafkajs.decode(answer)],
    };
    for (const [what, runs] of Object.entries(pairs)) {
      const [own, foreign] = await race(runs, options.seconds, options.records);
      rows.push({ what, headers, escapementNs: own, kafkajsNs: foreign, ratio: foreign / own });
    }
  }
  return rows;
}

const perSecond = (ns) => Math.round(1e9 / ns).toLocaleString('en-US');

function show(rows) {
  const head = ['', 'headers', 'escapement', 'kafkajs', 'ratio'];
  const lines = rows.map(({ what, headers, escapementNs, kafkajsNs, ratio }) => [
    what,
    String(headers),
    perSecond(escapementNs),
    perSecond(kafkajsNs),
    `${ratio.toFixed(1)} x`,
  ]);
  return markdownOf(head, lines);
}

function markdownOf(head, lines) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    line(head),
    line(head.map((_, at) => (at < 2 ? '---' : '---:'))),
    ...lines.map(line),
  ].join('\n');
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const rows = await measure(options);
  const about = { node: process.version, cpu: cpus()[0]?.model ?? '', ...options };
  if (options.json) console.log(JSON.stringify({ ...about, verified: true, rows }));
  else {
    console.log(
      `Records a CPU second, Node ${process.version}, ${options.records} records a batch.\n`,
    );
    console.log(show(rows));
    console.log('\nBoth wrote the same bytes and read the same records.');
  }
  // With headers kafkajs merges objects, and ours decodes text: the expectation is the plain case's.
  for (const { what, headers, ratio } of rows) {
    if (headers > 0 || ratio >= EXPECTED[what]) continue;
    console.error(`${what}: ${ratio.toFixed(1)} times kafkajs, ${EXPECTED[what]} are expected`);
    process.exitCode = 1;
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof BenchFailed ? `bench:codec: ${error.message}` : error);
  process.exitCode = 1;
}
