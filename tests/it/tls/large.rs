//! Large replies over TLS: whole for who reads, cut for who does not.

use super::Secured;
use mwaa_emulator::Noise;

#[tokio::test]
async fn large_responses_are_complete() {
    const SIZE: usize = 5 << 20;
    let secured = Secured::new().await;
    secured.harness.script().noise.always(Noise::Huge(SIZE));
    let request = secured
        .harness
        .request_with("Accept: text/plain\r\n", "version");
    let mut client = secured.connect().await;
    for _ in 0..2 {
        let reply = client.exchange(&request).await;
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(reply.body.len(), SIZE + "2.10.3\n".len());
        assert!(reply.body.ends_with(b".."));
    }
}

/// A client that does not read its response loses its connection, although TLS buffers a part.
#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let limits = "[limits]\nkeep_alive = \"1s\"\nconnections = 1\n";
    let secured = Secured::configured(limits).await;
    let (harness, script) = (&secured.harness, secured.harness.script());
    script.noise.next(1, Noise::Huge(32 << 20));
    let mut deaf = secured.connect().await;
    deaf.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() > 0)
        .await;
    let reply = secured
        .connect()
        .await
        .exchange(harness.request("version"))
        .await;
    assert_eq!(reply.stdout().trim(), "2.10.3", "{reply}");
    assert!(deaf.try_response().await.is_err(), "its reply was cut");
}
