// The measured application: one process, the contract of test/bench/README.md.
// Needs `npm run build`; runs the built code, so that what is measured is what people run.
import {
  count,
  flatMapValues,
  long,
  mapValues,
  repartition,
  run,
  selectKey,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
} from '../../dist/src/index.js';

const args = {};
const conf = {};
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, '');
  const value = process.argv[i + 1] ?? '';
  if (name === 'conf')
    conf[value.slice(0, value.indexOf('='))] = value.slice(value.indexOf('=') + 1);
  else args[name] = value;
}

const print = (fields) => console.log(JSON.stringify({ t: Date.now(), ...fields }));
const text = string();
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

const workloads = {
  w0: (app) =>
    lines(app).pipe(
      mapValues((v) => v.toUpperCase()),
      sink(),
    ),
  w1: (app) => lines(app).pipe(count({ name: 'count', key: text }), mapValues(String), sink()),
  w2: (app) =>
    lines(app).pipe(
      flatMapValues((v) => v.split(' ')),
      selectKey((record) => record.value),
      repartition({ name: 'by-word', key: text, value: text }),
      count({ name: 'store', key: text }),
      mapValues(String),
      sink(),
    ),
  w3: (app) =>
    lines(app).pipe(
      windowedAggregate({
        name: 'store',
        window: tumbling({ sizeMs: HOUR_MS, graceMs: 10 * MINUTE_MS }),
        key: text,
        value: long(),
        init: () => 0,
        add: (sum, value) => sum + Number(value),
        emit: 'update',
      }),
      mapValues(String),
      selectKey((record) => `${record.key.key}@${record.key.start}`),
      sink(),
    ),
};

const lines = (app) => app.stream(args.in, { key: text, value: text });
const sink = () => to(args.out, { key: text, value: text });

const build = workloads[args.workload];
if (build === undefined) {
  console.error(`workload ${args.workload} is not one of ${Object.keys(workloads).join(', ')}`);
  process.exit(2);
}
if ((args.store ?? 'memory') !== 'memory') {
  console.error(`store ${args.store} is not available: only memory is`);
  process.exit(2);
}
if ((args.guarantee ?? 'eos') !== 'eos') {
  console.error(`guarantee ${args.guarantee} is not available: only eos is`);
  process.exit(2);
}

const app = topology(args.workload);
build(app);
try {
  const application = await run(app, {
    applicationId: args['app-id'],
    kafka: { clientId: args['app-id'], brokers: [args.bootstrap] },
    commitIntervalMs: Number(args['commit-ms'] ?? 100),
    ...(conf['session.timeout.ms'] ? { sessionTimeoutMs: Number(conf['session.timeout.ms']) } : {}),
    ...(conf['heartbeat.interval.ms']
      ? { heartbeatIntervalMs: Number(conf['heartbeat.interval.ms']) }
      : {}),
    listener: {
      stateChanged: (state) => print({ state: state.toUpperCase() }),
      restoreStarted: ({ partition, from, to: end }) =>
        print({ restoreStart: partition, from, to: end }),
      restoreEnded: ({ partition, restored }) => print({ restoreEnd: partition, restored }),
    },
  });
  await application.stopped();
} catch (error) {
  print({ error: String(error), code: error.code });
  process.exitCode = 1;
}
