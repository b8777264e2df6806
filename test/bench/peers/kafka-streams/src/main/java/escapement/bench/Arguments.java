package escapement.bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Command line of the form {@code --name value}; a name may be repeated. */
final class Arguments {
    private final Map<String, List<String>> given = new HashMap<>();

    Arguments(String[] words, int first) {
        for (int i = first; i < words.length; i += 2) {
            if (!words[i].startsWith("--") || i + 1 >= words.length) {
                throw new IllegalArgumentException("--name value expected at " + words[i]);
            }
            given.computeIfAbsent(words[i].substring(2), name -> new ArrayList<>()).add(words[i + 1]);
        }
    }

    String text(String name) {
        if (!given.containsKey(name)) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return given.get(name).get(0);
    }

    String text(String name, String otherwise) {
        return given.containsKey(name) ? text(name) : otherwise;
    }

    int number(String name, int otherwise) {
        return given.containsKey(name) ? Integer.parseInt(text(name)) : otherwise;
    }

    List<String> every(String name) {
        return given.getOrDefault(name, List.of());
    }
}
