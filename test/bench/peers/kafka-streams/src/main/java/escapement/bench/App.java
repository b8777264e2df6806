package escapement.bench;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The workloads in Kafka Streams: w0 upper-cases values, w1 counts by key and emits every update. */
public final class App {
    public static void main(String[] words) {
        Arguments arguments = new Arguments(words, 0);
        KafkaStreams streams = new KafkaStreams(topology(arguments).build(), settings(arguments));
        streams.setStateListener((state, before) ->
            Tool.print("{\"t\":%d,\"state\":\"%s\"}", System.currentTimeMillis(), state));
        streams.setGlobalStateRestoreListener(new RestoreLines());
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }

    /** A line when the restore of a changelog partition begins, and one when it has ended. */
    private static final class RestoreLines implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long from, long to) {
            Tool.print("{\"t\":%d,\"restoreStart\":%d,\"from\":%d,\"to\":%d}",
                System.currentTimeMillis(), partition.partition(), from, to);
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long restored) {
            Tool.print("{\"t\":%d,\"restoreEnd\":%d,\"restored\":%d}",
                System.currentTimeMillis(), partition.partition(), restored);
        }
    }

    private static StreamsBuilder topology(Arguments arguments) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> in = builder.stream(arguments.text("in"));
        String out = arguments.text("out");
        String workload = arguments.text("workload");
        switch (workload) {
            case "w0":
                in.mapValues(value -> value.toUpperCase()).to(out);
                break;
            case "w1":
                in.groupByKey().count(store(arguments)).toStream().mapValues(count -> Long.toString(count)).to(out);
                break;
            default:
                throw new IllegalArgumentException("workload " + workload + " is not one of w0, w1");
        }
        return builder;
    }

    private static Materialized<String, Long, KeyValueStore<Bytes, byte[]>> store(Arguments arguments) {
        boolean inMemory = arguments.text("store", "memory").equals("memory");
        return Materialized.<String, Long>as(inMemory
                ? Stores.inMemoryKeyValueStore("count")
                : Stores.persistentKeyValueStore("count"))
            .withKeySerde(Serdes.String())
            .withValueSerde(Serdes.Long())
            .withCachingDisabled();
    }

    private static Properties settings(Arguments arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.text("app-id"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("bootstrap"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.text("state-dir"));
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.text("threads", "1"));
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.text("commit-ms", "100"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
            arguments.text("guarantee", "eos").equals("eos") ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        for (String pair : arguments.every("conf")) {
            String[] sides = pair.split("=", 2);
            settings.put(sides[0], sides[1]);
        }
        return settings;
    }
}
