//! Commands through the wire: what passes reaches the web server in our own quoting, word for
//! word as it was judged; what does not opens no connection and names what would do instead.

use crate::support::{Client, Harness, Response};
use mwaa_emulator::{Answer, Seed, Settings};
use mwaa_model::AirflowVersion;
use mwaa_policy::{Release, SupportStatus, list_commands};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A command for one of several environments, which the Host names.
fn request(harness: &Harness, environment: &str, command: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {environment}.localhost:{}\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        harness.address().port(),
        command.len()
    );
    [head.as_bytes(), command].concat()
}

async fn send(client: &mut Client, harness: &Harness, to: &str, command: &str) -> Response {
    client
        .exchange(request(harness, to, command.as_bytes()))
        .await
}

/// What CPython's shlex makes of each line.
fn python_words(lines: &[String]) -> Vec<Vec<String>> {
    const PROGRAM: &str = "import json, shlex, sys\n\
        json.dump([shlex.split(line) for line in json.load(sys.stdin)], sys.stdout)";
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed by the tests");
    let input = serde_json::to_vec(lines).unwrap();
    python.stdin.take().unwrap().write_all(&input).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Body, canonical form, words.
const FORWARDED: &[(&str, &str, &[&str])] = &[
    (
        "dags trigger x",
        "dags trigger x",
        &["dags", "trigger", "x"],
    ),
    (
        "dags  trigger\tx\n",
        "dags trigger x",
        &["dags", "trigger", "x"],
    ),
    ("\r\n dags list \r\n", "dags list", &["dags", "list"]),
    ("airflow dags list", "dags list", &["dags", "list"]),
    (
        "dags trigger 'x'\"y\"\\z",
        "dags trigger xyz",
        &["dags", "trigger", "xyz"],
    ),
    (
        "dags trigger x; users list",
        "dags trigger \"x;\" users list",
        &["dags", "trigger", "x;", "users", "list"],
    ),
    (
        "dags trigger x && users list",
        "dags trigger x \"&&\" users list",
        &["dags", "trigger", "x", "&&", "users", "list"],
    ),
    (
        "dags trigger x | tee > /tmp/x",
        "dags trigger x \"|\" tee \">\" /tmp/x",
        &["dags", "trigger", "x", "|", "tee", ">", "/tmp/x"],
    ),
    (
        "dags trigger $(id) `id`",
        "dags trigger \"$(id)\" \"`id`\"",
        &["dags", "trigger", "$(id)", "`id`"],
    ),
    (
        "dags trigger x --conf '{\"a\": \"b c\"}'",
        "dags trigger x --conf \"{\\\"a\\\": \\\"b c\\\"}\"",
        &["dags", "trigger", "x", "--conf", "{\"a\": \"b c\"}"],
    ),
    (
        "variables set k -- -1",
        "variables set k -- -1",
        &["variables", "set", "k", "--", "-1"],
    ),
    (
        "variables set k 'it'\\''s'",
        "variables set k \"it's\"",
        &["variables", "set", "k", "it's"],
    ),
    (
        "variables set k ''",
        "variables set k \"\"",
        &["variables", "set", "k", ""],
    ),
    (
        "variables set k 'two\nlines'",
        "variables set k \"two\nlines\"",
        &["variables", "set", "k", "two\nlines"],
    ),
    (
        "variables set ключ 'ä \u{a0} 😀'",
        "variables set \"ключ\" \"ä \u{a0} 😀\"",
        &["variables", "set", "ключ", "ä \u{a0} 😀"],
    ),
    (
        "variables set k \"a\\$b \\\\ #c\"",
        "variables set k \"a\\\\$b \\\\ #c\"",
        &["variables", "set", "k", "a\\$b \\ #c"],
    ),
    (
        "dags list # all",
        "dags list \"#\" all",
        &["dags", "list", "#", "all"],
    ),
];

#[tokio::test]
async fn an_allowed_command_is_sent_in_canonical_quoting() {
    let harness = Harness::new().await;
    let mut client = harness.connect().await;
    for (number, (body, canonical, _)) in FORWARDED.iter().enumerate() {
        let reply = send(&mut client, &harness, "demo", body).await;
        assert_eq!(reply.fault(), None, "{body:?}: {reply}");
        let requests = harness.journal().web_requests();
        assert_eq!(requests.len(), number + 1, "{body:?} is sent once");
        let sent = std::str::from_utf8(&requests[number].body).unwrap();
        assert_eq!(sent, *canonical, "{body:?}");
    }
    let sent = harness.journal().commands();
    let lines: Vec<_> = FORWARDED
        .iter()
        .map(|(_, line, _)| (*line).to_owned())
        .collect();
    assert_eq!(sent, lines);
    for ((body, _, words), theirs) in FORWARDED.iter().zip(python_words(&lines)) {
        assert_eq!(theirs, *words, "{body:?}");
    }
}

/// The value comes back as it went in, through both splitters.
#[tokio::test]
async fn awkward_values_arrive_unchanged() {
    let harness = Harness::new().await;
    let mut client = harness.connect().await;
    for value in [
        "plain",
        "two words",
        "it's",
        "a \"quoted\" word",
        "back\\slash",
        "$HOME `id` $(id)",
        "{\"a\": [1, \"b c\"]}",
        "ä 😀 \u{a0}",
        "semi;colon & more | less > x",
        "tab\there",
        "#no comment",
    ] {
        let quoted = value.replace('\'', "'\\''");
        let set = format!("variables set key '{quoted}'");
        let reply = send(&mut client, &harness, "demo", &set).await;
        assert_eq!(reply.status, 200, "{value:?}: {reply}");
        let reply = send(&mut client, &harness, "demo", "variables get key").await;
        assert_eq!(reply.stdout(), format!("{value}\n"), "{value:?}");
    }
    let reply = send(&mut client, &harness, "demo", "variables set key -- -1").await;
    assert_eq!(reply.status, 200, "F-25 {reply}");
    let reply = send(&mut client, &harness, "demo", "variables get key").await;
    assert_eq!(reply.stdout(), "-1\n", "F-25");
}

const UNREADABLE: &str = "policy.unreadable_command";
const UNSUPPORTED: &str = "policy.unsupported_command";
const FORBIDDEN: &str = "policy.forbidden_command";
const OPTION: &str = "policy.forbidden_option";

/// Sends commands that must be refused: id, body, code, and what the refusal must mention.
async fn all_refused(harness: &Harness, environment: &str, rows: &[(&str, &[u8], &str, &str)]) {
    let before = (harness.mints(), harness.journal().web_count());
    let mut client = harness.connect().await;
    for (id, body, code, mention) in rows {
        let reply = client.exchange(request(harness, environment, body)).await;
        assert_eq!(reply.fault(), Some(*code), "{id}: {reply}");
        let status = if *code == UNREADABLE { 400 } else { 403 };
        assert_eq!(reply.status, status, "{id}: {reply}");
        let complaint = reply.complaint();
        assert!(
            complaint.contains(mention),
            "{id}: {mention:?} is not in {complaint:?}"
        );
        let after = (harness.mints(), harness.journal().web_count());
        assert_eq!(before, after, "{id}: something was asked or sent");
    }
}

#[tokio::test]
async fn a_refused_command_gets_a_reason() {
    let harness = Harness::new().await;
    all_refused(
        &harness,
        "demo",
        &[
            (
                "F-03",
                b"dags trigger x\nusers list",
                UNREADABLE,
                "at byte 14, there is a second line",
            ),
            (
                "F-03 CR",
                b"dags trigger x\rusers list",
                UNREADABLE,
                "at byte 14, there is a second line",
            ),
            (
                "F-04 continued",
                b"dags trigger \\\nx",
                UNREADABLE,
                "at byte 13, there is a backslash",
            ),
            ("F-06", b"users list", UNSUPPORTED, "`users list`"),
            (
                "F-07 quotes",
                b"us\"\"ers list",
                UNREADABLE,
                "at byte 0, the command's name",
            ),
            (
                "F-07 quoted",
                b"'users' list",
                UNREADABLE,
                "at byte 0, the command's name",
            ),
            (
                "F-07 escaped",
                b"\\users list",
                UNREADABLE,
                "at byte 0, the command's name",
            ),
            (
                "F-09 long",
                b"--verbose dags trigger x",
                UNREADABLE,
                "before the command",
            ),
            (
                "F-09 short",
                b"-v dags trigger x",
                UNREADABLE,
                "before the command",
            ),
            (
                "F-09 dashes",
                b"-- dags trigger x",
                UNREADABLE,
                "before the command",
            ),
            (
                "F-09 within",
                b"dags -v trigger x",
                UNREADABLE,
                "before the command",
            ),
            (
                "F-11",
                b"AIRFLOW__CORE__X=1 dags list",
                UNREADABLE,
                "assignment",
            ),
            ("F-15 quote", b"dags trigger 'x", UNREADABLE, "quote"),
            ("F-15 double", b"dags trigger \"x", UNREADABLE, "quote"),
            (
                "F-15 backslash",
                b"dags trigger x\\",
                UNREADABLE,
                "backslash",
            ),
            (
                "F-16 control",
                b"dags trigger \x1b[31m",
                UNREADABLE,
                "control",
            ),
            ("F-16 NUL", b"dags trigger x\0", UNREADABLE, "control"),
            ("F-18", b"dags trigger \xff", UNREADABLE, "byte 13"),
            (
                "F-18 mark",
                b"\xef\xbb\xbfdags list",
                UNREADABLE,
                "byte order mark",
            ),
            ("F-18 UTF-16", b"d\0a\0g\0s\0", UNREADABLE, "control"),
            (
                "F-19 case",
                b"DAGS trigger x",
                UNSUPPORTED,
                "`dags trigger`",
            ),
            (
                "F-19 case 2",
                b"dags TRIGGER x",
                UNSUPPORTED,
                "`dags trigger`",
            ),
            (
                "F-19 singular",
                b"dag trigger x",
                UNSUPPORTED,
                "`dags trigger`",
            ),
            ("F-19 short", b"dags trig x", UNSUPPORTED, "`dags trigger`"),
            ("F-20", b"dags trigger x --subdir /x/e", OPTION, "--subdir"),
            ("F-20 short", b"dags trigger x -S/x/e", OPTION, "--subdir"),
            (
                "F-20 cluster",
                b"dags trigger x -vS/x/e",
                OPTION,
                "--subdir",
            ),
            (
                "F-20 abbreviated",
                b"dags trigger x --s /x/e",
                OPTION,
                "--subdir",
            ),
            (
                "F-20 joined",
                b"dags trigger x --subdir=/x/e",
                OPTION,
                "--subdir",
            ),
            (
                "F-20 save",
                b"dags show x --save /tmp/x.png",
                OPTION,
                "--save",
            ),
            (
                "F-20 quoted",
                b"dags trigger x '--sub'dir /x",
                OPTION,
                "--subdir",
            ),
            ("F-26", b"", UNREADABLE, "without a command"),
            ("F-26 spaces", b" \t \n", UNREADABLE, "without a command"),
            ("F-26 airflow", b"airflow", UNREADABLE, "without a command"),
            ("F-27", b"trigger_dag x", UNSUPPORTED, "send `dags trigger`"),
            ("F-27 list", b"list_dags", UNSUPPORTED, "send `dags list`"),
            (
                "of 3.x",
                b"backfill create --dag-id x",
                UNSUPPORTED,
                "`dags backfill`",
            ),
            (
                "database",
                b"db reset --yes",
                UNSUPPORTED,
                "MWAA manages the database",
            ),
            (
                "a question",
                b"dags delete x",
                "policy.needs_confirmation",
                "--yes",
            ),
            (
                "files",
                b"variables import /x",
                UNSUPPORTED,
                "mwaa-gateway airflow -- variables import FILE",
            ),
        ],
    )
    .await;

    let long = "x".repeat(64 * 1024 + 1);
    let reply = harness.command(&long).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (413, Some("request.too_large")),
        "{reply}"
    );
    let just = format!("variables set k {}", "x".repeat(64 * 1024 - 16));
    assert_eq!(just.len(), 64 * 1024);
    assert_eq!(harness.command(&just).await.status, 200, "64 KiB pass");
}

/// An environment of each kind of version, named after it.
async fn versions() -> Harness {
    let environments = ["1.10.12", "2.0.2", "2.10.3", "3.0.6", "3.3.1", "3.9.0"]
        .map(|version| Seed::new(&format!("v{}", version.replace('.', "-")), version));
    let settings = Settings {
        environments: environments.to_vec(),
        ..Settings::default()
    };
    Harness::with(settings, "").await
}

#[tokio::test]
async fn each_version_has_its_own_commands() {
    let harness = versions().await;
    // environment, commands that pass, commands that do not and what they should be
    type Row<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 6] = [
        (
            "v1-10-12",
            &[
                "list_dags",
                "trigger_dag lab_hello",
                "variables -s k v",
                "version",
            ],
            &[
                ("dags list", "`list_dags`"),
                ("dags trigger x", "`trigger_dag`"),
                ("variables set k v", "`variables`"),
                ("list_users", "1.10.12"),
            ],
        ),
        (
            "v2-0-2",
            &["dags list", "dags trigger lab_hello", "variables set k v"],
            &[
                ("dags list-import-errors", "2.6.3"),
                ("roles add-perms x", "2.6.3"),
                ("db clean", "2.4.3"),
                ("trigger_dag x", "`dags trigger`"),
            ],
        ),
        (
            "v2-10-3",
            &[
                "dags list-import-errors",
                "providers list",
                "tasks list lab_hello",
            ],
            &[
                ("assets list", "3.0.6"),
                ("users list", "IAM"),
                ("pools set a 1 b", "pools set"),
                (
                    "variables -s k hunter2",
                    "(on Airflow 2, send `variables set KEY VALUE`)",
                ),
                ("connections --list", "it is `connections list`"),
            ],
        ),
        (
            "v3-0-6",
            &["dags list", "assets list", "backfill create --help"],
            &[
                ("dags backfill x", "`backfill create`"),
                ("webserver", "api-server"),
                ("trigger_dag x", "`dags trigger`"),
                ("backfill -s 2024-01-01 x", "`backfill create`"),
                ("variables --set k v", "on Airflow 3, send `variables set"),
            ],
        ),
        (
            "v3-3-1",
            &["dags list", "assets list"],
            &[("dags clear x", "`dags clear`")],
        ),
        // a version that no table knows is judged by the nearest older one
        (
            "v3-9-0",
            &["dags list", "assets list", "version"],
            &[
                ("dags backfill x", "`backfill create`"),
                ("users list", "3.9.0"),
            ],
        ),
    ];
    for (environment, pass, refused) in rows {
        let mut client = harness.connect().await;
        for command in pass {
            harness.script().answer(command, Answer::default());
            let reply = send(&mut client, &harness, environment, command).await;
            assert_eq!(reply.status, 200, "{environment} {command}: {reply}");
            let last = harness.journal().web_requests().pop().unwrap();
            assert_eq!(last.environment.as_deref(), Some(environment));
        }
        for (command, mention) in refused {
            let row = (*command, command.as_bytes(), UNSUPPORTED, *mention);
            all_refused(&harness, environment, &[row]).await;
        }
    }
}

/// The gateway's tables against the emulator's, which were made apart: for every release, what
/// we let pass the web server knows, and what we refuse never gets there.
#[tokio::test]
async fn the_tables_of_gateway_and_emulator_agree() {
    let local = |version: AirflowVersion| format!("v{}", version.to_string().replace('.', "-"));
    let seeds = Release::all()
        .iter()
        .map(|release| Seed::new(&local(release.version()), &release.version().to_string()));
    let settings = Settings {
        environments: seeds.collect(),
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    let (mut passed, mut refused) = (0, 0);
    for release in Release::all() {
        let environment = local(release.version());
        let mut client = harness.connect().await;
        for row in list_commands(release.version()) {
            harness.script().answer(row.command, Answer::default());
            let help = format!("{} --help", row.command);
            let reply = send(&mut client, &harness, &environment, &help).await;
            let what = format!("{environment}: {}: {reply}", row.command);
            if row.verdict == SupportStatus::Unsupported {
                assert_eq!(reply.fault(), Some(UNSUPPORTED), "{what}");
                refused += 1;
            } else {
                assert_eq!((reply.status, reply.fault()), (200, None), "{what}");
                passed += 1;
            }
        }
    }
    assert_eq!(harness.journal().web_count(), passed);
    assert!(
        passed > 500 && refused > 500,
        "{passed} passed, {refused} refused"
    );
}

#[tokio::test]
async fn policies_and_rules_decide_which_commands_are_allowed() {
    let names = ["supported", "read-only", "operator", "all", "lists"];
    let settings = Settings {
        environments: names.map(|name| Seed::new(name, "2.10.3")).to_vec(),
        ..Settings::default()
    };
    let extra = r#"
        [environments]
        supported.policy = "supported"
        read-only.policy = "read-only"
        operator.policy = "operator"
        all.policy = "all"
        [environments.lists]
        policy = "read-only"
        allow = ["variables set", "pools"]
        deny = ["dags list", "tasks"]
    "#;
    let harness = Harness::with(settings, extra).await;
    // command, then for each environment: passes, or the code
    type Verdicts<'a> = [Option<&'a str>; 5];
    let rows: [(&str, Verdicts<'_>); 10] = [
        ("version", [None; 5]),
        ("dags list", [None, None, None, None, Some(FORBIDDEN)]),
        (
            "tasks list lab_hello",
            [None, None, None, None, Some(FORBIDDEN)],
        ),
        (
            "variables set k v",
            [None, Some(FORBIDDEN), Some(FORBIDDEN), None, None],
        ),
        (
            "dags pause lab_hello",
            [None, Some(FORBIDDEN), None, None, Some(FORBIDDEN)],
        ),
        (
            "tasks clear lab_hello -y",
            [None, Some(FORBIDDEN), None, None, Some(FORBIDDEN)],
        ),
        (
            "dags trigger lab_hello",
            [None, Some(FORBIDDEN), None, None, Some(FORBIDDEN)],
        ),
        (
            "dags delete x -y",
            [
                None,
                Some(FORBIDDEN),
                Some(FORBIDDEN),
                None,
                Some(FORBIDDEN),
            ],
        ),
        (
            "pools list",
            [
                Some(UNSUPPORTED),
                Some(UNSUPPORTED),
                Some(UNSUPPORTED),
                None,
                None,
            ],
        ),
        (
            "dags show x --save f",
            [Some(OPTION), Some(OPTION), Some(OPTION), None, Some(OPTION)],
        ),
    ];
    for (command, verdicts) in rows {
        for (environment, verdict) in names.into_iter().zip(verdicts) {
            let before = harness.journal().web_count();
            let mut client = harness.connect().await;
            let reply = send(&mut client, &harness, environment, command).await;
            assert_eq!(reply.fault(), verdict, "{environment}: {command}: {reply}");
            let sent = harness.journal().web_count() - before;
            assert_eq!(
                sent,
                usize::from(verdict.is_none()),
                "{environment}: {command}"
            );
            if let Some(code) = verdict {
                let complaint = reply.complaint();
                assert!(
                    complaint.contains(command.split(' ').next().unwrap()),
                    "{code}: {complaint}"
                );
            }
        }
    }
}

/// A refusal names the command, never its arguments: they carry secrets.
#[tokio::test]
async fn refusals_do_not_repeat_arguments() {
    let harness = Harness::configured("[environments.demo]\npolicy = \"read-only\"\n").await;
    for command in [
        "variables set key hunter2",
        "connections add x --conn-password hunter2",
        "users create --password hunter2",
        "variables set key 'hunter2",
        "dags trigger x --conf hunter2 --subdir hunter2",
        "\"hunter2 hunter2\" hunter2",
        "variables hunter2 hunter2",
    ] {
        let reply = harness.command(command).await;
        assert!(reply.fault().is_some(), "{command}: {reply}");
        assert!(!reply.to_string().contains("hunter2"), "{command}: {reply}");
    }
}
