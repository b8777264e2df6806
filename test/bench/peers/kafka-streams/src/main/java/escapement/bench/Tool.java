package escapement.bench;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Utils;

/**
 * What the bench asks of Java's client: {@code load}, {@code rows}, {@code watch} and {@code verify}. One JSON line
 * each.
 */
public final class Tool {
    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words, 1);
        switch (words[0]) {
            case "load" -> load(arguments);
            case "rows" -> rows(arguments);
            case "watch" -> watch(arguments);
            case "verify" -> verify(arguments);
            default -> throw new IllegalArgumentException(words[0] + " is not one of load, rows, watch, verify");
        }
    }

    static void print(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
        System.out.flush();
    }

    /**
     * Writes the input. With --rate the records carry the time at which each was due, so that a stall of the
     * writer counts as latency.
     */
    private static void load(Arguments arguments) {
        String topic = arguments.text("topic");
        int rate = arguments.number("rate", 0);
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", arguments.text("bootstrap"),
            "acks", "all",
            "linger.ms", rate > 0 ? 0 : 20,
            "batch.size", 262_144,
            "buffer.memory", 67_108_864L);
        AtomicReference<Exception> failure = new AtomicReference<>();
        long begun = System.nanoTime();
        int[] written = {0};
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.partitionsFor(topic);
            long origin = System.currentTimeMillis() + 50;
            Input.of(arguments).forEach((key, value, timestamp) -> {
                long stamp = timestamp;
                if (rate > 0) {
                    stamp = origin + written[0] * 1000L / rate;
                    while (System.currentTimeMillis() < stamp) {
                        LockSupport.parkNanos(200_000);
                    }
                }
                written[0]++;
                producer.send(new ProducerRecord<>(topic, null, stamp, key, value), (where, error) -> {
                    if (error != null) {
                        failure.compareAndSet(null, error);
                    }
                });
            });
        }
        if (failure.get() != null) {
            throw new IllegalStateException("a record was refused", failure.get());
        }
        print("{\"loaded\":%d,\"seconds\":%.2f}", written[0], (System.nanoTime() - begun) / 1e9);
    }

    /**
     * Writes the changelog of a count in which every key was seen once, transaction after transaction. With
     * --rows-per-transaction 1 each of --writers producers puts one row into each partition and commits: one small
     * batch and one marker per row, as an application leaves it that commits record by record.
     */
    private static void rows(Arguments arguments) throws Exception {
        String topic = arguments.text("topic");
        int rows = Integer.parseInt(arguments.text("rows"));
        int partitions = arguments.number("partitions", 4);
        int perTransaction = arguments.number("rows-per-transaction", 20_000);
        int writers = arguments.number("writers", 1);
        long begun = System.nanoTime();
        List<List<String>> keys = new ArrayList<>();
        for (int partition = 0; partition < partitions; partition++) {
            keys.add(new ArrayList<>());
        }
        for (int i = 0; i < rows; i++) {
            String key = Input.key(i);
            byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
            keys.get(Utils.toPositive(Utils.murmur2(bytes)) % partitions).add(key);
        }
        AtomicInteger next = new AtomicInteger();
        int last = keys.stream().mapToInt(List::size).max().orElse(0);
        Callable<Void> writing = () -> {
            Map<String, Object> settings = Map.of(
                "bootstrap.servers", arguments.text("bootstrap"),
                "transactional.id", topic + "-" + Thread.currentThread().getName(),
                "linger.ms", perTransaction > 1 ? 20 : 0,
                "batch.size", 262_144);
            try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new LongSerializer())) {
                producer.initTransactions();
                for (int from; (from = next.getAndAdd(perTransaction)) < last; ) {
                    producer.beginTransaction();
                    for (int partition = 0; partition < partitions; partition++) {
                        List<String> its = keys.get(partition);
                        for (int i = from; i < Math.min(from + perTransaction, its.size()); i++) {
                            long timestamp = Input.FIRST_TIMESTAMP + i;
                            producer.send(new ProducerRecord<>(topic, partition, timestamp, its.get(i), 1L));
                        }
                    }
                    producer.commitTransaction();
                }
            }
            return null;
        };
        try (var threads = new Threads(writers)) {
            threads.run(writing);
        }
        print("{\"rows\":%d,\"seconds\":%.2f}", rows, (System.nanoTime() - begun) / 1e9);
    }

    /** Runs the same work in a number of threads and fails as the first of them does. */
    private record Threads(int count, ExecutorService pool) implements AutoCloseable {
        Threads(int count) {
            this(count, Executors.newFixedThreadPool(count));
        }

        void run(Callable<Void> work) throws Exception {
            for (Future<Void> each : pool.invokeAll(Collections.nCopies(count, work))) {
                each.get();
            }
        }

        @Override
        public void close() {
            pool.shutdownNow();
        }
    }

    private static KafkaConsumer<String, String> reader(Arguments arguments) {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", arguments.text("bootstrap"),
            "isolation.level", "read_committed",
            "enable.auto.commit", false);
        var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        List<TopicPartition> partitions = consumer.partitionsFor(arguments.text("topic")).stream()
            .map(each -> new TopicPartition(each.topic(), each.partition()))
            .toList();
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        return consumer;
    }

    /** Latency: when a committed output is seen minus its timestamp, which is the time its input was due. */
    private static void watch(Arguments arguments) {
        int records = arguments.number("records", 0);
        int warmUpMs = arguments.number("warm-up-ms", 0);
        long deadline = System.currentTimeMillis() + arguments.number("timeout-ms", 120_000);
        long[] latencies = new long[records];
        int kept = 0;
        int seen = 0;
        long first = 0;
        try (var consumer = reader(arguments)) {
            consumer.assignment().forEach(consumer::position);
            print("{\"watching\":true}");
            while (seen < records && System.currentTimeMillis() < deadline) {
                var polled = consumer.poll(Duration.ofMillis(100));
                long now = System.currentTimeMillis();
                for (ConsumerRecord<String, String> record : polled) {
                    seen++;
                    first = first == 0 ? record.timestamp() : Math.min(first, record.timestamp());
                    if (record.timestamp() - first >= warmUpMs && kept < records) {
                        latencies[kept++] = now - record.timestamp();
                    }
                }
            }
        }
        if (seen < records || kept == 0) {
            throw new IllegalStateException("saw " + seen + " of " + records + " outputs");
        }
        long[] sorted = Arrays.copyOf(latencies, kept);
        Arrays.sort(sorted);
        print("{\"samples\":%d,\"medianMs\":%d,\"p99Ms\":%d,\"maxMs\":%d}",
            kept, sorted[kept / 2], sorted[(int) (kept * 0.99)], sorted[kept - 1]);
    }

    /**
     * Reads the committed output to its end and compares it with a plain fold of the input; --counted says how often
     * every key was counted before.
     */
    private static void verify(Arguments arguments) {
        long counted = arguments.number("counted", 0);
        boolean counts = !arguments.text("workload").equals("w0");
        Input input = Input.of(arguments);
        Map<String, Long> last = new HashMap<>();
        long outputs = 0;
        long outOfSequence = 0;
        long sum = 0;
        try (var consumer = reader(arguments)) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    outputs++;
                    if (counts) {
                        long count = Long.parseLong(record.value());
                        Long before = last.put(record.key(), count);
                        if (count != (before == null ? counted : before) + 1) {
                            outOfSequence++;
                        }
                    } else {
                        sum += mix(record.key(), record.value());
                    }
                }
            }
        }
        Map<String, Long> expected = new HashMap<>();
        long[] expectedSum = {0};
        input.forEach((key, value, timestamp) -> {
            if (counts) {
                expected.merge(key, counted + 1, (before, one) -> before + 1);
            } else {
                expectedSum[0] += mix(key, value.toUpperCase(Locale.ROOT));
            }
        });
        boolean right = outputs == input.records && outOfSequence == 0 && last.equals(expected) && sum == expectedSum[0];
        print("{\"right\":%b,\"outputs\":%d,\"expected\":%d,\"outOfSequence\":%d}",
            right, outputs, input.records, outOfSequence);
        if (!right) {
            System.exit(1);
        }
    }

    /** A checksum that does not depend on the order of records but on which value stands by which key. */
    private static long mix(String key, String value) {
        long bits = key.hashCode() * 0x9E3779B97F4A7C15L + value.hashCode();
        bits = (bits ^ (bits >>> 29)) * 0xBF58476D1CE4E5B9L;
        return bits ^ (bits >>> 32);
    }
}
