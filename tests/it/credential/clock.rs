//! Clocks that disagree: AWS's is moved, ours stays.

use crate::support::Harness;
use mwaa_emulator::Settings;
use std::time::Duration;

const VERSION: &str = r#"environments.demo.airflow_version = "2.10.3""#;

#[tokio::test]
async fn a_clock_that_is_off_by_twenty_minutes_is_reported() {
    let far = Duration::from_mins(20);
    for (ahead, told) in [
        (true, "behind AWS's clock"),
        (false, "ahead of AWS's clock"),
    ] {
        let harness = Harness::scripted(Settings::default(), VERSION, |script| {
            if ahead {
                script.advance_clock(far);
            } else {
                script.rewind_clock(far);
            }
        })
        .await;
        let reply = harness.command("version").await;
        assert_eq!(reply.fault(), Some("aws.credentials"), "{reply}");
        let complaint = reply.complaint();
        let (_, rest) = complaint
            .split_once("clock is ")
            .unwrap_or_else(|| panic!("{reply}"));
        let (offset, _) = rest
            .split_once(&format!(" {told}"))
            .unwrap_or_else(|| panic!("{reply}"));
        let offset = humantime::parse_duration(offset).unwrap();
        // the calls were made within this minute
        assert!(offset.abs_diff(far) < Duration::from_mins(1), "{complaint}");
    }
}

#[tokio::test]
async fn a_small_clock_offset_causes_no_extra_mint() {
    for ahead in [true, false] {
        let harness = Harness::scripted(Settings::default(), VERSION, |script| {
            let little = Duration::from_secs(100);
            if ahead {
                script.advance_clock(little);
            } else {
                script.rewind_clock(little);
            }
        })
        .await;
        for _ in 0..3 {
            assert_eq!(harness.command("version").await.status, 200);
        }
        // neither taken for expired nor refused and replaced
        assert_eq!((harness.mints(), harness.journal().web_count()), (1, 3));
    }
}
