//! The web side misbehaving as scripted: spoilt answers, cut connections, bad certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{
    CertificateForm, FormerHost, HandshakeFault, Noise, Seed, Settings, WebFault,
};
use super::client::{cli_request, cli_token, exchange, run, start, tls};

#[tokio::test]
async fn scripted_web_faults_spoil_the_answer() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let host = emulator.host("demo").unwrap();
    let fault = &emulator.script().web_fault;
    for (spoilt, executed) in [
        (WebFault::Drop, 0),
        (WebFault::Reset, 0),
        (WebFault::CutBody, 1),
        (WebFault::ResetAfterExecution, 2),
    ] {
        fault.next(1, spoilt.clone());
        let answer = run(&emulator, "demo", Some(&token), "version").await;
        assert!(answer.is_err(), "{spoilt:?}");
        assert_eq!(emulator.journal().commands().len(), executed, "{spoilt:?}");
    }
    fault.next(1, WebFault::garbage_head());
    let mut stream = tls(&emulator, &host).await.unwrap();
    stream
        .write_all(cli_request(&host, Some(&token), "version").as_bytes())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    // the end comes without close_notify, which rustls reports
    assert!(stream.read_to_end(&mut bytes).await.is_err());
    assert_eq!(bytes, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    fault.next(1, WebFault::html(502));
    assert_eq!(
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .status,
        502
    );
    fault.next(1, WebFault::BadBase64);
    let answer = run(&emulator, "demo", Some(&token), "version")
        .await
        .unwrap();
    assert!(
        STANDARD
            .decode(answer.json()["stdout"].as_str().unwrap())
            .is_err()
    );
}

#[tokio::test]
async fn a_connection_is_kept_unless_the_script_closes_it() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let host = emulator.host("demo").unwrap();
    let request = cli_request(&host, Some(&token), "version");
    let mut stream = tls(&emulator, &host).await.unwrap();
    exchange(&mut stream, &request).await.unwrap();
    emulator.script().close_idle.next(1, ());
    let last = exchange(&mut stream, &request).await.unwrap();
    assert_eq!((last.status, last.header("connection")), (200, None));
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(emulator.journal().web_connections(), 1);
}

#[tokio::test]
async fn noise_goes_where_it_is_sent() {
    let emulator = start(Settings::default()).await;
    let token = cli_token(&emulator, "demo").await;
    let noise = &emulator.script().noise;
    let version = async || {
        run(&emulator, "demo", Some(&token), "version")
            .await
            .unwrap()
            .streams()
    };
    let (clean, _) = version().await;
    noise.next(1, Noise::Warnings);
    let (stdout, _) = version().await;
    assert!(stdout.ends_with(&clean) && stdout.contains("RemovedInAirflow3Warning"));
    noise.next(1, Noise::Stderr);
    assert!(version().await.1.contains("graphviz"));
    noise.next(1, Noise::Huge(1 << 20));
    assert!(version().await.0.len() > 1 << 20);
    noise.next(1, Noise::Empty);
    assert_eq!(version().await, (String::new(), String::new()));
    noise.next(1, Noise::Ansi);
    assert!(version().await.0.contains("\u{1b}[34m"));
}

#[tokio::test]
async fn only_a_valid_certificate_is_accepted() {
    for certificate in [
        CertificateForm::Expired,
        CertificateForm::NotYetValid,
        CertificateForm::SelfSigned,
        CertificateForm::UnknownCa,
        CertificateForm::WrongName,
    ] {
        let emulator = start(Settings {
            certificate,
            ..Settings::default()
        })
        .await;
        let refused = tls(&emulator, &emulator.host("demo").unwrap()).await;
        assert!(refused.is_err(), "{certificate:?}");
    }
    let seed = Seed {
        custom_domain: Some("airflow.corp.example".to_owned()),
        ..Seed::default()
    };
    let emulator = start(Settings {
        environments: vec![seed],
        ..Settings::default()
    })
    .await;
    assert!(tls(&emulator, "airflow.corp.example").await.is_ok());
}

#[tokio::test]
async fn connections_are_cut_or_never_begin_as_scripted() {
    let emulator = start(Settings::default()).await;
    let host = emulator.host("demo").unwrap();
    let mut idle = tls(&emulator, &host).await.unwrap();
    emulator
        .journal()
        .wait_for(|journal| journal.server_names().len() == 1)
        .await;
    emulator.script().cut_web_connections();
    assert!(idle.read(&mut [0; 1]).await.is_err());
    emulator
        .script()
        .handshake_fault
        .next(1, HandshakeFault::Close);
    assert!(tls(&emulator, &host).await.is_err());
    assert!(tls(&emulator, &host).await.is_ok());
    assert_eq!(emulator.journal().web_connections(), 3);
}

#[tokio::test]
async fn an_environment_made_anew_has_another_host_and_the_old_one_goes_as_told() {
    let emulator = start(Settings::default()).await;
    for (old, answers) in [
        (FormerHost::Gone, None),
        (FormerHost::Status(404), Some("HTTP/1.1 404 ")),
    ] {
        let former = emulator.host("demo").unwrap();
        assert!(emulator.recreate("demo", old));
        let token = cli_token(&emulator, "demo").await;
        let request = cli_request(&former, Some(&token), "version");
        match (answers, tls(&emulator, &former).await) {
            (None, connected) => assert!(connected.is_err(), "{old:?}"),
            (Some(begin), connected) => {
                let mut stream = connected.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut head = vec![0; begin.len()];
                stream.read_exact(&mut head).await.unwrap();
                assert_eq!(head, begin.as_bytes(), "{old:?}");
            }
        }
        let answer = run(&emulator, "demo", Some(&token), "version").await;
        assert_eq!(answer.unwrap().status, 200, "{old:?}");
    }
    assert_eq!(emulator.journal().commands().len(), 2);
    assert!(!emulator.recreate("nosuch", FormerHost::Gone));
}
