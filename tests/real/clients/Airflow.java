import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/**
 * Java's own client as it comes: it offers an upgrade to HTTP/2 with every request. The arguments
 * are the base URL and the base of the REST API; each reply is one line, the status first.
 */
public class Airflow {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        String base = arguments[0];
        String api = base + arguments[1];
        say(to(api + "/version").GET());
        say(to(base + "/aws_mwaa/cli")
                .header("Content-Type", "text/plain")
                .header("Accept", "text/plain")
                .POST(BodyPublishers.ofString("version")));
        String pool = "{\"name\": \"java\", \"slots\": 3, \"include_deferred\": false}";
        say(to(api + "/pools")
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(pool)));
        say(to(api + "/pools/java").DELETE());
    }

    private static HttpRequest.Builder to(String url) {
        return HttpRequest.newBuilder(URI.create(url));
    }

    private static void say(HttpRequest.Builder request) throws Exception {
        var reply = CLIENT.send(request.build(), BodyHandlers.ofString());
        System.out.println(reply.statusCode() + " " + reply.body().replaceAll("\\s+", " ").strip());
    }
}
