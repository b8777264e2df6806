package escapement.bench;

import java.util.SplittableRandom;

/** The input of every workload: records over a fixed number of keys, the same ones on each run. */
final class Input {
    /** Timestamp of the first record; each record is a millisecond later than the one before. */
    static final long FIRST_TIMESTAMP = 1_767_225_600_000L;
    private static final int TEXTS = 512;
    private static final int TEXT_LENGTH = 100;

    interface Receiver {
        void accept(String key, String value, long timestamp);
    }

    final int records;
    final int keys;

    Input(int records, int keys) {
        this.records = records;
        this.keys = keys;
    }

    static Input of(Arguments arguments) {
        return new Input(Integer.parseInt(arguments.text("records")), arguments.number("keys", 100_000));
    }

    void forEach(Receiver receiver) {
        String[] texts = texts();
        SplittableRandom random = new SplittableRandom(20_260_101L);
        for (int i = 0; i < records; i++) {
            receiver.accept(key(random.nextInt(keys)), texts[i % TEXTS], FIRST_TIMESTAMP + i);
        }
    }

    static String key(int number) {
        char[] key = new char[9];
        key[0] = 'k';
        for (int digit = 8; digit > 0; digit--) {
            key[digit] = (char) ('0' + number % 10);
            number /= 10;
        }
        return new String(key);
    }

    private static String[] texts() {
        SplittableRandom random = new SplittableRandom(7);
        String[] texts = new String[TEXTS];
        for (int i = 0; i < TEXTS; i++) {
            char[] text = new char[TEXT_LENGTH];
            for (int c = 0; c < TEXT_LENGTH; c++) {
                text[c] = (char) ('a' + random.nextInt(26));
            }
            texts[i] = new String(text);
        }
        return texts;
    }
}
