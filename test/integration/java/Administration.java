import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Everything that a test or an operator asks of a cluster through the Java admin client, against
 * whichever broker it is pointed at. It prints each finding as one line of JSON, the name of it and
 * what the cluster said; the same lines must come from the embedded broker and from Kafka.
 *
 * Arguments: bootstrap, a prefix for all names.
 */
public final class Administration {
  private static final Exception OLD = new IllegalStateException("the old state still stands");

  private final String bootstrap;
  private final String prefix;
  private final Admin admin;

  private Administration(String bootstrap, String prefix) {
    this.bootstrap = bootstrap;
    this.prefix = prefix;
    this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  public static void main(String[] args) throws Exception {
    Administration run = new Administration(args[0], args[1]);
    try (run.admin) {
      run.topics();
      run.configs();
      run.groups();
      run.records();
      run.transactions();
    }
  }

  private String name(String of) {
    return prefix + "-" + of;
  }

  private void topics() throws Exception {
    String topic = name("made");
    Map<String, String> configs = Map.of("cleanup.policy", "compact", "retention.ms", "1000");
    say("create", () -> {
      var made = admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1).configs(configs)));
      made.all().get();
      return made.numPartitions(topic).get()
          + " " + made.config(topic).get().get("retention.ms").value();
    });
    say("create again", () -> admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all());
    say("create collision", () ->
        admin.createTopics(List.of(new NewTopic(topic.replace('-', '.') + "_x", 1, (short) 1)))
            .all());
    say("create collides", () ->
        admin.createTopics(List.of(new NewTopic(topic.replace('-', '.') + ".x", 1, (short) 1)))
            .all());
    say("create bad name", () ->
        admin.createTopics(List.of(new NewTopic("what is this", 1, (short) 1))).all());
    say("create no partitions", () ->
        admin.createTopics(List.of(new NewTopic(name("none"), 0, (short) 1))).all());
    say("create no replicas", () ->
        admin.createTopics(List.of(new NewTopic(name("none"), 1, (short) 0))).all());
    say("create many replicas", () ->
        admin.createTopics(List.of(new NewTopic(name("none"), 1, (short) 9))).all());
    say("create bad config", () ->
        admin
            .createTopics(
                List.of(
                    new NewTopic(name("none"), 1, (short) 1).configs(Map.of("retention.ms", "x"))))
            .all());
    say("create unknown config", () ->
        admin
            .createTopics(
                List.of(new NewTopic(name("none"), 1, (short) 1).configs(Map.of("what", "x"))))
            .all());
    say("create defaults", () -> {
      String other = name("defaults");
      admin.createTopics(List.of(new NewTopic(other, Optional.empty(), Optional.empty()))).all()
          .get();
      return described(other).partitions().size();
    });
    say("describe", () -> {
      TopicDescription description = described(topic);
      return description.partitions().size() + " " + description.isInternal();
    });
    say("describe unknown", () -> admin.describeTopics(List.of(name("nothing"))).allTopicNames());
    say("list", () -> admin.listTopics().names().get().contains(topic));
    say("more partitions", () -> {
      admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
      retried(() -> {
        if (described(topic).partitions().size() == 3) throw new ExecutionException(OLD);
      });
      return described(topic).partitions().size();
    });
    say("fewer partitions", () ->
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all());
    say("as many partitions", () ->
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
    say("partitions of nothing", () ->
        admin.createPartitions(Map.of(name("nothing"), NewPartitions.increaseTo(2))).all());
    say("delete", () -> {
      var before = described(topic).topicId();
      admin.deleteTopics(List.of(topic)).all().get();
      retried(() -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get());
      retried(() -> {
        if (described(topic).partitions().size() != 1) throw new ExecutionException(OLD);
      });
      return before.equals(described(topic).topicId()) ? "same id" : "other id";
    });
    say("delete unknown", () -> admin.deleteTopics(List.of(name("nothing"))).all());
    say("cluster", () -> admin.describeCluster().nodes().get().size() > 0);
  }

  private void configs() throws Exception {
    String topic = name("configured");
    create(topic, 1);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    say("config default", () -> entry(resource, "retention.ms"));
    say("config set", () -> altered(resource, "retention.ms", "12345", OpType.SET));
    say("config append", () -> altered(resource, "cleanup.policy", "compact", OpType.APPEND));
    say("config subtract", () -> altered(resource, "cleanup.policy", "delete", OpType.SUBTRACT));
    say("config delete", () -> altered(resource, "retention.ms", "", OpType.DELETE));
    say("config append to number", () -> alter(resource, "retention.ms", "1", OpType.APPEND));
    say("config bad value", () -> alter(resource, "retention.ms", "soon", OpType.SET));
    say("config below bound", () -> alter(resource, "retention.ms", "-2", OpType.SET));
    say("config unknown", () -> alter(resource, "what", "1", OpType.SET));
    say("config of nothing", () ->
        alter(
            new ConfigResource(ConfigResource.Type.TOPIC, name("nothing")),
            "retention.ms",
            "1",
            OpType.SET));
    say("describe config of nothing", () ->
        admin
            .describeConfigs(
                List.of(new ConfigResource(ConfigResource.Type.TOPIC, name("nothing"))))
            .all());
  }

  private void groups() throws Exception {
    String topic = name("read");
    String group = name("readers");
    TopicPartition partition = new TopicPartition(topic, 0);
    create(topic, 2);
    produce(topic, 3);
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("group.id", group);
    settings.put("client.id", "reader");
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", false);
    settings.put("group.instance.id", "instance-1");
    settings.put("key.deserializer", StringDeserializer.class);
    settings.put("value.deserializer", StringDeserializer.class);
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
      consumer.subscribe(List.of(topic));
      while (consumer.poll(java.time.Duration.ofMillis(100)).isEmpty()) continue;
      consumer.commitSync(Map.of(partition, new OffsetAndMetadata(2, "noted")));
      say("group", () -> {
        ConsumerGroupDescription its =
            admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        var member = its.members().iterator().next();
        return its.groupState() + " " + its.partitionAssignor() + " " + its.members().size() + " "
            + member.clientId() + " " + member.groupInstanceId().orElse("none") + " "
            + member.assignment().topicPartitions().size();
      });
      say("groups", () ->
          admin.listGroups().all().get().stream()
              .filter(each -> each.groupId().equals(group))
              .map(each -> each.protocol() + " " + each.type().get() + " " + each.groupState().get())
              .toList());
      say("offsets", () -> offsets(group).get(partition).toString());
      say("alter offsets of members", () ->
          admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1)))
              .all());
      say("delete offsets of readers", () ->
          admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all());
      say("delete group with members", () -> admin.deleteConsumerGroups(List.of(group)).all());
      say("remove members", () -> {
        admin
            .removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions())
            .all()
            .get();
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState();
      });
    }
    say("alter offsets", () -> {
      admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1))).all()
          .get();
      return offsets(group).get(partition).offset();
    });
    say("delete offsets", () -> {
      admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
      return offsets(group).containsKey(partition);
    });
    say("delete group", () -> {
      admin.deleteConsumerGroups(List.of(group)).all().get();
      return admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group));
    });
    say("delete unknown group", () -> admin.deleteConsumerGroups(List.of(group)).all());
    say("describe unknown group", () ->
        admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState());
    say("offsets of unknown group", () -> offsets(group).size());
    say("delete offsets of unknown group", () ->
        admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all());
  }

  private void records() throws Exception {
    String topic = name("kept");
    TopicPartition partition = new TopicPartition(topic, 0);
    create(topic, 1);
    produce(topic, 5);
    say("delete records", () -> {
      long low =
          admin
              .deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(3)))
              .lowWatermarks()
              .get(partition)
              .get()
              .lowWatermark();
      return low + " " + listed(partition, OffsetSpec.earliest());
    });
    say("delete too many records", () ->
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(30))).all());
    say("latest", () -> listed(partition, OffsetSpec.latest()));
    say("max timestamp", () -> listed(partition, OffsetSpec.maxTimestamp()));
  }

  private void transactions() throws Exception {
    String topic = name("ledger");
    String id = name("tx");
    TopicPartition partition = new TopicPartition(topic, 0);
    create(topic, 1);
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("transactional.id", id);
    settings.put("transaction.timeout.ms", 60_000);
    settings.put("key.serializer", StringSerializer.class);
    settings.put("value.serializer", StringSerializer.class);
    try (KafkaProducer<String, String> former = new KafkaProducer<>(settings)) {
      former.initTransactions();
    }
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
      producer.initTransactions();
      say("transaction of a new producer", () -> {
        TransactionDescription its = describe(id);
        return its.state() + " " + its.topicPartitions();
      });
      producer.beginTransaction();
      producer.send(new ProducerRecord<>(topic, "k", "v")).get();
      say("open transaction", () -> {
        TransactionDescription its = describe(id);
        return its.state() + " " + its.topicPartitions().size() + " " + its.transactionTimeoutMs()
            + " " + its.transactionStartTimeMs().isPresent();
      });
      say("transactions", () ->
          admin
              .listTransactions(
                  new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING)))
              .all()
              .get()
              .stream()
              .filter(each -> each.transactionalId().equals(id))
              .map(each -> each.state())
              .toList());
      say("long transactions", () ->
          admin
              .listTransactions(new ListTransactionsOptions().filterOnDuration(3_600_000))
              .all()
              .get()
              .stream()
              .anyMatch(each -> each.transactionalId().equals(id)));
      say("producers", () -> {
        ProducerState its = producerOf(partition);
        return its.lastSequence() + " " + its.currentTransactionStartOffset();
      });
      say("abort hanging", () -> {
        ProducerState its = producerOf(partition);
        admin
            .abortTransaction(
                new AbortTransactionSpec(
                    partition,
                    its.producerId(),
                    (short) its.producerEpoch(),
                    its.coordinatorEpoch().orElse(0)))
            .all()
            .get();
        return producerOf(partition).currentTransactionStartOffset();
      });
      say("abort with an old epoch", () -> {
        ProducerState its = producerOf(partition);
        return admin
            .abortTransaction(
                new AbortTransactionSpec(
                    partition,
                    its.producerId(),
                    (short) (its.producerEpoch() - 1),
                    its.coordinatorEpoch().orElse(0)))
            .all();
      });
    } catch (Exception closing) {
      // The producer's transaction was taken from under it.
    }
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
      producer.initTransactions();
      producer.beginTransaction();
      producer.send(new ProducerRecord<>(topic, "k", "v")).get();
      say("fence", () -> {
        admin.fenceProducers(List.of(id)).all().get();
        try {
          producer.send(new ProducerRecord<>(topic, "k", "v"));
          producer.commitTransaction();
          return "not fenced";
        } catch (Exception fenced) {
          return "fenced";
        }
      });
    } catch (Exception closing) {
      // Fenced.
    }
    say("aborted and nothing else", () -> {
      retried(() -> {
        if (producerOf(partition).currentTransactionStartOffset().isPresent()) {
          throw new ExecutionException(OLD);
        }
      });
      return describe(id).state();
    });
    say("describe unknown transaction", () ->
        admin.describeTransactions(List.of(name("nobody"))).all());
  }

  /** A node may hear of a topic later than the controller. */
  private TopicDescription described(String topic) throws Exception {
    retried(() -> admin.describeTopics(List.of(topic)).allTopicNames().get());
    return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
  }

  private TransactionDescription describe(String id) throws Exception {
    return admin.describeTransactions(List.of(id)).all().get().get(id);
  }

  private ProducerState producerOf(TopicPartition partition) throws Exception {
    return admin
        .describeProducers(List.of(partition))
        .partitionResult(partition)
        .get()
        .activeProducers()
        .get(0);
  }

  private Map<TopicPartition, OffsetAndMetadata> offsets(String group) throws Exception {
    return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
  }

  private long listed(TopicPartition partition, OffsetSpec spec) throws Exception {
    return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
  }

  private KafkaFuture<Void> alter(ConfigResource resource, String name, String value, OpType type) {
    Collection<AlterConfigOp> operations =
        List.of(new AlterConfigOp(new ConfigEntry(name, value), type));
    return admin.incrementalAlterConfigs(Map.of(resource, operations)).all();
  }

  /** What becomes of an entry. A node may hear of it later than the controller. */
  private String altered(ConfigResource resource, String name, String value, OpType type)
      throws Exception {
    String before = entry(resource, name);
    alter(resource, name, value, type).get();
    retried(() -> {
      if (entry(resource, name).equals(before)) throw new ExecutionException(OLD);
    });
    return entry(resource, name);
  }

  private String entry(ConfigResource resource, String name) throws Exception {
    Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
    ConfigEntry entry = config.get(name);
    return entry.value() + " " + entry.source() + " " + entry.type();
  }

  private void create(String topic, int partitions) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    described(topic);
  }

  private void produce(String topic, int count) throws Exception {
    Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", bootstrap,
            "key.serializer", StringSerializer.class,
            "value.serializer", StringSerializer.class);
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
      // Times of now: a broker drops records that are older than the retention of their topic.
      long first = System.currentTimeMillis();
      for (int n = 0; n < count; n++) {
        producer.send(new ProducerRecord<>(topic, 0, first + n, "k" + n, "v" + n)).get();
      }
    }
  }

  private interface Finding {
    Object find() throws Exception;
  }

  private interface Attempt {
    void run() throws Exception;
  }

  private static void retried(Attempt attempt) throws Exception {
    for (int left = 1_200; ; left--) {
      try {
        attempt.run();
        return;
      } catch (ExecutionException refused) {
        if (left == 0) throw refused;
        Thread.sleep(50);
      }
    }
  }

  /** A future is waited for; an error is told by the name of its class. */
  private static void say(String what, Finding finding) {
    String said;
    try {
      Object found = finding.find();
      if (found instanceof KafkaFuture) found = ((KafkaFuture<?>) found).get();
      said = String.valueOf(found);
    } catch (ExecutionException refused) {
      said = refused.getCause().getClass().getSimpleName();
    } catch (Exception failed) {
      said = "failed: " + failed;
    }
    System.out.printf("{\"what\":\"%s\",\"said\":\"%s\"}%n", what, said.replace("\"", "'"));
  }
}
