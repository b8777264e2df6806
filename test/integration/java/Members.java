import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A group of Java consumers in which members come, leave and come again: one, two, three, two
 * again, and with instance ids the third one again in its old place. Each member says when it gets
 * and gives up partitions; no partition may have two owners, and every record is read.
 *
 * Arguments: bootstrap, topic, group, class of the assignor, `static` or `dynamic`.
 */
public final class Members {
  private static final Map<TopicPartition, String> owners = new ConcurrentHashMap<>();
  /** The generation of which each member was told last. */
  private static final Map<String, Integer> generations = new ConcurrentHashMap<>();
  private static final Set<String> values = ConcurrentHashMap.newKeySet();
  private static final AtomicInteger rebalances = new AtomicInteger();
  private static final AtomicInteger shared = new AtomicInteger();

  public static void main(String[] args) throws Exception {
    Member first = new Member("first", args);
    settle(Map.of("first", 6));
    Member second = new Member("second", args);
    settle(Map.of("first", 3, "second", 3));
    Member third = new Member("third", args);
    settle(Map.of("first", 2, "second", 2, "third", 2));
    int before = rebalances.get();
    third.leave();
    if (args[4].equals("static")) {
      // Its place is kept, and nobody else hears of it.
      third = new Member("third", args);
      settle(Map.of("first", 2, "second", 2, "third", 2));
      System.out.printf("{\"rebalancesByReturn\":%d}%n", rebalances.get() - before);
    } else {
      settle(Map.of("first", 3, "second", 3));
    }
    while (values.size() < 600) Thread.sleep(20);
    System.out.printf("{\"values\":%d,\"shared\":%d}%n", values.size(), shared.get());
    for (Member member : List.of(first, second, third)) member.leave();
  }

  /**
   * Waits until every member owns its number of partitions and was told of the same generation, and
   * says so: who loses nothing hears of a generation later than who gets something in it.
   */
  private static void settle(Map<String, Integer> expected) throws Exception {
    while (true) {
      Map<String, Integer> counts = new TreeMap<>();
      for (String owner : owners.values()) counts.merge(owner, 1, Integer::sum);
      boolean agreed =
          generations.keySet().equals(expected.keySet())
              && Set.copyOf(generations.values()).size() == 1;
      if (agreed && counts.equals(new TreeMap<>(expected))) {
        System.out.printf("{\"owned\":\"%s\"}%n", counts);
        return;
      }
      Thread.sleep(20);
    }
  }

  private static final class Member implements ConsumerRebalanceListener {
    private final String name;
    private final Thread thread;
    private volatile KafkaConsumer<String, String> consumer;
    private volatile boolean leaving;

    Member(String name, String[] args) {
      this.name = name;
      Map<String, Object> settings = new HashMap<>();
      settings.put("bootstrap.servers", args[0]);
      settings.put("group.id", args[2]);
      settings.put("partition.assignment.strategy", args[3]);
      if (args[4].equals("static")) settings.put("group.instance.id", name);
      settings.put("auto.offset.reset", "earliest");
      // A member learns of a rebalance by its heartbeat: 3 s by default.
      settings.put("heartbeat.interval.ms", 200);
      settings.put("key.deserializer", StringDeserializer.class);
      settings.put("value.deserializer", StringDeserializer.class);
      thread = new Thread(() -> run(settings, args[1]), name);
      thread.start();
    }

    private void run(Map<String, Object> settings, String topic) {
      try (KafkaConsumer<String, String> opened = new KafkaConsumer<>(settings)) {
        consumer = opened;
        consumer.subscribe(List.of(topic), this);
        while (!leaving) {
          for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) {
            values.add(record.value());
          }
        }
      }
      // A static member does not leave: nobody is told, and it owns nothing any more.
      owners.values().removeIf(owner -> owner.equals(name));
      generations.remove(name);
    }

    void leave() throws InterruptedException {
      leaving = true;
      thread.join();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      // Called for every generation, also when it brings nothing.
      rebalances.incrementAndGet();
      for (TopicPartition partition : partitions) {
        String before = owners.put(partition, name);
        if (before != null && !before.equals(name)) shared.incrementAndGet();
      }
      generations.put(name, consumer.groupMetadata().generationId());
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      for (TopicPartition partition : new ArrayList<>(partitions)) owners.remove(partition, name);
    }
  }
}
