import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.common.TopicPartition;

/**
 * The word count of Kafka Streams with `exactly_once_v2`: lines, words, a repartition topic, a
 * persistent store with its changelog, counts. It says what becomes of it in lines of JSON and runs
 * until SIGTERM.
 *
 * Arguments: bootstrap, application id, state folder, then settings as name=value.
 */
public final class WordCount {
  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("application.id", args[1]);
    settings.put("state.dir", args[2]);
    settings.put("processing.guarantee", "exactly_once_v2");
    settings.put("auto.offset.reset", "earliest");
    // Every result is a record, so that a reader can tell each of them from a repeated one.
    settings.put("statestore.cache.max.bytes", 0);
    for (int index = 3; index < args.length; index++) {
      String[] setting = args[index].split("=", 2);
      settings.put(setting[0], setting[1]);
    }
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, String> lines = builder.stream("lines");
    lines
        .flatMap(
            (key, line) ->
                List.of(line.split(" ")).stream().map(word -> KeyValue.pair(word, "")).toList())
        .groupByKey(Grouped.as("words"))
        .count(Materialized.as("counts"))
        .toStream()
        .mapValues(String::valueOf)
        .to("counted", Produced.with(Serdes.String(), Serdes.String()));
    settings.put("default.key.serde", Serdes.StringSerde.class);
    settings.put("default.value.serde", Serdes.StringSerde.class);

    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    CountDownLatch closed = new CountDownLatch(1);
    streams.setStateListener((state, before) -> say("state", state.name()));
    streams.setGlobalStateRestoreListener(new Restores());
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          say("failed", error.getClass().getSimpleName());
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close(Duration.ofSeconds(30));
                  closed.countDown();
                  say("state", "CLOSED");
                }));
    streams.start();
    closed.await();
  }

  private static synchronized void say(String what, String which) {
    System.out.printf("{\"%s\":\"%s\"}%n", what, which);
    System.out.flush();
  }

  private static final class Restores implements StateRestoreListener {
    @Override
    public void onRestoreStart(TopicPartition partition, String store, long from, long to) {}

    @Override
    public void onBatchRestored(TopicPartition partition, String store, long end, long count) {}

    @Override
    public void onRestoreEnd(TopicPartition partition, String store, long total) {
      System.out.printf("{\"restored\":%d,\"partition\":%d}%n", total, partition.partition());
      System.out.flush();
    }
  }
}
