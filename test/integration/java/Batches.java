import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

/**
 * Record batches as Kafka's own classes write and read them. Reads the batches of a file, one line
 * of hex each, and prints what is in them; then writes batches of every kind in every codec and
 * prints them with what was put in.
 *
 * Arguments: file, seed.
 */
public final class Batches {
  private static final HexFormat HEX = HexFormat.of();
  private static final long TIME = 1_700_000_000_000L;
  private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

  public static void main(String[] args) throws Exception {
    for (String line : Files.readAllLines(Path.of(args[0]))) {
      print("read", HEX.parseHex(line));
    }
    Random random = new Random(Long.parseLong(args[1]));
    for (String codec : CODECS) {
      for (int round = 0; round < 12; round++) write(codec, round, random);
    }
    for (ControlRecordType type : List.of(ControlRecordType.ABORT, ControlRecordType.COMMIT)) {
      EndTransactionMarker marker = new EndTransactionMarker(type, 3);
      ByteBuffer bytes =
          MemoryRecords.withEndTransactionMarker(42L, TIME, -1, 4_000_000_017L, (short) 5, marker)
              .buffer();
      print("written", array(bytes));
    }
  }

  private static void write(String codec, int round, Random random) {
    boolean transactional = round % 3 == 1;
    boolean idempotent = round % 3 != 0;
    boolean sparse = round % 4 == 3;
    TimestampType type =
        round == 10 ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME;
    long base = sparse ? 9_000_000_000L : 0;
    MemoryRecordsBuilder builder =
        MemoryRecords.builder(
            ByteBuffer.allocate(1 << 16),
            RecordBatch.MAGIC_VALUE_V2,
            Compression.of(codec).build(),
            type,
            base,
            TIME + 7,
            idempotent ? 4_000_000_017L + round : -1L,
            idempotent ? (short) (round * 1000) : (short) -1,
            idempotent ? Integer.MAX_VALUE - round : -1,
            transactional,
            -1);
    int count = round == 11 ? 3_000 : 1 + random.nextInt(20);
    long offset = base;
    for (int index = 0; index < count; index++) {
      builder.appendWithOffset(
          offset, time(round, random), bytes(random, 40), bytes(random, round == 7 ? 90_000 : 200),
          headers(random));
      offset += sparse ? 1 + random.nextInt(1_000_000) : 1;
    }
    print("written", array(builder.build().buffer()));
  }

  /** Near one another, far apart, and at both ends. */
  private static long time(int round, Random random) {
    if (round == 5) return random.nextLong(253_402_300_799_999L);
    if (round == 6) return random.nextBoolean() ? 0 : TIME;
    return TIME + random.nextInt(round == 4 ? Integer.MAX_VALUE : 1_000);
  }

  private static byte[] bytes(Random random, int most) {
    if (random.nextInt(6) == 0) return null;
    byte[] bytes = new byte[random.nextInt(most)];
    if (random.nextBoolean()) random.nextBytes(bytes);
    return bytes;
  }

  private static Header[] headers(Random random) {
    if (random.nextInt(3) > 0) return new Header[0];
    Header[] headers = new Header[1 + random.nextInt(4)];
    for (int index = 0; index < headers.length; index++) {
      String key = List.of("", "a", "trace-id", "\u00e9\u00ff\ud83d\ude00").get(random.nextInt(4));
      headers[index] = new RecordHeader(key, bytes(random, 100));
    }
    return headers;
  }

  private static byte[] array(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }

  private static void print(String what, byte[] bytes) {
    MutableRecordBatch batch =
        MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches().iterator().next();
    batch.ensureValid();
    StringBuilder out = new StringBuilder("{\"what\":\"" + what + "\"");
    out.append(",\"bytes\":\"").append(HEX.formatHex(bytes)).append('"');
    out.append(",\"codec\":\"").append(batch.compressionType().name).append('"');
    out.append(",\"producerId\":").append(batch.producerId());
    out.append(",\"epoch\":").append(batch.producerEpoch());
    out.append(",\"sequence\":").append(batch.baseSequence());
    out.append(",\"transactional\":").append(batch.isTransactional());
    out.append(",\"control\":").append(batch.isControlBatch());
    out.append(",\"nextOffset\":").append(batch.nextOffset());
    out.append(",\"logAppendTime\":")
        .append(batch.timestampType() == TimestampType.LOG_APPEND_TIME);
    out.append(",\"records\":[");
    String comma = "";
    for (Record record : batch) {
      out.append(comma).append('[').append(record.offset()).append(',').append(record.timestamp());
      out.append(',').append(hex(record.key())).append(',').append(hex(record.value()));
      out.append(",[");
      String between = "";
      for (Header header : record.headers()) {
        String key = HEX.formatHex(header.key().getBytes(StandardCharsets.UTF_8));
        out.append(between).append("[\"").append(key).append("\",");
        out.append(header.value() == null ? "null" : '"' + HEX.formatHex(header.value()) + '"');
        out.append(']');
        between = ",";
      }
      out.append("]]");
      comma = ",";
    }
    System.out.println(out.append("]}"));
  }

  private static String hex(ByteBuffer buffer) {
    return buffer == null ? "null" : '"' + HEX.formatHex(array(buffer)) + '"';
  }
}
