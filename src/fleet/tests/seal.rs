//! The values in the store can be read by replicas only.

use crate::seal::{FleetKeys, KeyFileError, SealError, name_record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mwaa_model::Secret;

fn keys(content: impl Into<Vec<u8>>) -> Result<FleetKeys, KeyFileError> {
    FleetKeys::parse(&Secret::new(content.into()))
}

fn line(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

#[test]
fn a_value_opens_only_as_what_it_was_sealed_for() {
    let own = keys(line(1)).unwrap();
    let value = || Secret::new(b"a token".to_vec());
    let sealed = own.seal("record", "1-a", value());
    assert!(!sealed.windows(5).any(|window| window == b"token"));
    assert_ne!(sealed, own.seal("record", "1-a", value()), "a new nonce");

    let opened = own.open("record", "1-a", &sealed).unwrap();
    assert_eq!(opened.reveal(), b"a token");
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for (record, version, sealed) in [
        ("another", "1-a", &sealed),
        ("record", "2-a", &sealed),
        ("record", "1-a", &damaged),
        ("record", "1-a", &Vec::new()),
    ] {
        let opened = own.open(record, version, sealed).map(drop);
        assert_eq!(opened, Err(SealError), "{record} {version}");
    }
    let other = keys(line(2)).unwrap();
    assert!(other.open("record", "1-a", &sealed).is_err());
}

#[test]
fn a_key_can_be_replaced() {
    let old = keys(line(1)).unwrap();
    let both = keys(format!("{}\n{}\n", line(2), line(1))).unwrap();
    let new = keys(line(2)).unwrap();
    let value = || Secret::new(b"x".to_vec());
    assert!(
        both.open("r", "1-1", &old.seal("r", "1-1", value()))
            .is_ok()
    );
    let sealed = both.seal("r", "1-1", value());
    assert!(new.open("r", "1-1", &sealed).is_ok());
    assert!(old.open("r", "1-1", &sealed).is_err());
}

#[test]
fn a_key_file_holds_32_bytes_or_their_base64() {
    assert!(keys([200; 32]).is_ok());
    assert!(keys([b'a'; 32]).is_ok(), "raw, although it is text");
    for wrong in [
        String::new(),
        "short".to_owned(),
        STANDARD.encode([1; 31]),
        format!("{}\n{}\n{}", line(1), line(2), line(3)),
    ] {
        assert_eq!(keys(wrong.clone()).err(), Some(KeyFileError), "{wrong}");
    }
}

#[test]
fn names_of_records_say_nothing_and_differ() {
    let name = name_record(&["slots", "prod"]);
    assert!(!name.contains("prod") && !name.contains("slots"), "{name}");
    assert_ne!(name, name_record(&["slotsp", "rod"]));
}
