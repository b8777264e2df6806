import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Copies `in` to `out` exactly once with the Java producer and consumer: every batch of the
 * consumer is one transaction, its offsets included; every third transaction is aborted and its
 * records are read again. Then both isolation levels are read back and counted.
 *
 * Arguments: bootstrap, source topic, target topic, number of records, compression.
 */
public final class CopyLoop {
  private static final String GROUP = "copy-loop";
  private static final Duration POLL = Duration.ofMillis(100);

  public static void main(String[] args) throws Exception {
    String bootstrap = args[0];
    String source = args[1];
    String target = args[2];
    int count = Integer.parseInt(args[3]);
    fill(bootstrap, source, count, args[4]);
    Result result = copy(bootstrap, source, target, count);
    List<String> committed = read(bootstrap, target, "read_committed");
    List<String> all = read(bootstrap, target, "read_uncommitted");
    System.out.printf(
        "{\"commits\":%d,\"aborts\":%d,\"committed\":%d,\"distinct\":%d,\"uncommitted\":%d,"
            + "\"aborted\":%d,\"offsets\":%d}%n",
        result.commits,
        result.aborts,
        committed.size(),
        new HashSet<>(committed).size(),
        all.size(),
        result.abortedRecords,
        result.offsets);
  }

  private static final class Result {
    int commits;
    int aborts;
    int abortedRecords;
    long offsets;
  }

  private static Map<String, Object> settings(String bootstrap) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("key.serializer", StringSerializer.class);
    settings.put("value.serializer", StringSerializer.class);
    settings.put("key.deserializer", StringDeserializer.class);
    settings.put("value.deserializer", StringDeserializer.class);
    return settings;
  }

  private static void fill(String bootstrap, String topic, int count, String compression)
      throws Exception {
    Map<String, Object> settings = settings(bootstrap);
    settings.put("compression.type", compression);
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
      for (int n = 0; n < count; n++) producer.send(new ProducerRecord<>(topic, "k" + n, "v" + n));
      producer.flush();
    }
  }

  private static Result copy(String bootstrap, String source, String target, int count) {
    Map<String, Object> producing = settings(bootstrap);
    producing.put("transactional.id", "copy-loop-0");
    Map<String, Object> consuming = settings(bootstrap);
    consuming.put("group.id", GROUP);
    consuming.put("enable.auto.commit", false);
    consuming.put("auto.offset.reset", "earliest");
    consuming.put("isolation.level", "read_committed");
    consuming.put("max.poll.records", 40);
    Result result = new Result();
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(producing);
        Consumer<String, String> consumer = new KafkaConsumer<>(consuming)) {
      producer.initTransactions();
      consumer.subscribe(List.of(source));
      int copied = 0;
      for (int round = 1; copied < count; round++) {
        ConsumerRecords<String, String> records = consumer.poll(POLL);
        if (records.isEmpty()) {
          round -= 1;
          continue;
        }
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (ConsumerRecord<String, String> record : records) {
          producer.send(new ProducerRecord<>(target, record.key(), record.value()));
          offsets.put(
              new TopicPartition(record.topic(), record.partition()),
              new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        if (round % 3 == 0) {
          // What was sent must be in the log to be seen as aborted.
          producer.flush();
          producer.abortTransaction();
          result.aborts += 1;
          result.abortedRecords += records.count();
          rewind(consumer);
        } else {
          producer.commitTransaction();
          result.commits += 1;
          copied += records.count();
        }
      }
      for (OffsetAndMetadata offset : consumer.committed(consumer.assignment()).values()) {
        result.offsets += offset.offset();
      }
    }
    return result;
  }

  private static void rewind(Consumer<String, String> consumer) {
    Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
    for (TopicPartition partition : consumer.assignment()) {
      OffsetAndMetadata offset = committed.get(partition);
      if (offset == null) consumer.seekToBeginning(List.of(partition));
      else consumer.seek(partition, offset);
    }
  }

  private static List<String> read(String bootstrap, String topic, String isolation) {
    Map<String, Object> settings = settings(bootstrap);
    settings.put("isolation.level", isolation);
    List<String> values = new ArrayList<>();
    try (Consumer<String, String> consumer = new KafkaConsumer<>(settings)) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(each -> new TopicPartition(topic, each.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Set<TopicPartition> open = new HashSet<>(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (!open.isEmpty()) {
        for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
          values.add(record.value());
        }
        open.removeIf(partition -> consumer.position(partition) >= ends.get(partition));
      }
    }
    return values;
  }
}
