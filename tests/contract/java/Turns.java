import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Sends turns as Java's client does by default: the first request of a connection asks for h2c. Prints what came back. */
public class Turns {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newBuilder().build();
        for (String body : arguments[1].split("\n")) {
            HttpRequest request =
                    HttpRequest.newBuilder(URI.create(arguments[0]))
                            .header("authorization", "Bearer test")
                            .header("content-type", "application/json")
                            .timeout(Duration.ofSeconds(30))
                            .POST(BodyPublishers.ofString(body))
                            .build();
            HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body().replace("\n", " "));
        }
    }
}
