//! A line that cannot be read is refused with the byte and the reason. Text in quotes is a value.

use super::*;

#[test]
fn an_unreadable_line_is_refused_with_the_byte_position() {
    let cases: &[(&[u8], &str)] = &[
        (b"dags list \xff", "at byte 10, the text is not UTF-8"),
        (
            b"dags\0list",
            "at byte 4, there is a control character (U+0000)",
        ),
        (
            b"dags list \x1b[2J",
            "at byte 10, there is a control character (U+001B)",
        ),
        (
            "dags list '\u{85}'".as_bytes(),
            "at byte 11, there is a control character (U+0085)",
        ),
        (
            b"dags list '\r'",
            "at byte 11, there is a control character (U+000D)",
        ),
        (
            "\u{feff}dags list".as_bytes(),
            "at byte 0, there is a byte order mark (U+FEFF)",
        ),
        (
            "dags\u{a0}list".as_bytes(),
            "at byte 4, there is white space (U+00A0)",
        ),
        (
            "dags list\u{2028}x".as_bytes(),
            "at byte 9, there is white space (U+2028)",
        ),
        (
            "dags list \u{3000}".as_bytes(),
            "at byte 10, there is white space (U+3000)",
        ),
        (
            "users\u{200b} list".as_bytes(),
            "at byte 5, there is an invisible character (U+200B)",
        ),
        (
            "é \u{202e}".as_bytes(),
            "at byte 3, there is an invisible character (U+202E)",
        ),
        (
            b"dags list\nusers list",
            "at byte 9, there is a second line",
        ),
        (
            b"dags list \\\n -v",
            "at byte 10, there is a backslash before a line end",
        ),
        (b"dags list 'x", "at byte 10, a quote is not closed"),
        (b"dags list x\"y", "at byte 11, a quote is not closed"),
        (
            b"dags list x\\",
            "at byte 11, the text ends with a lone backslash",
        ),
        (
            b" -v dags list",
            "at byte 1, there is an option before the command's name",
        ),
        (
            b"-- dags list",
            "at byte 0, there is an option before the command's name",
        ),
        (
            b"airflow -v dags list",
            "at byte 8, there is an option before the command's name",
        ),
        (
            b"dags  -v list",
            "at byte 6, there is an option before the command's name",
        ),
        (
            b"\tX=1 dags list",
            "at byte 1, there is a variable assignment before the command",
        ),
        (
            b"X=\"1 2\" dags list",
            "at byte 0, there is a variable assignment before the command",
        ),
        (
            b"us\"\"ers list",
            "at byte 0, the command's name contains quotes",
        ),
        (
            b"airflow 'users' list",
            "at byte 8, the command's name contains quotes",
        ),
        (
            b"\\airflow users list",
            "at byte 0, the command's name contains quotes",
        ),
        (
            b"dags  l\\ist",
            "at byte 6, the command's name contains quotes",
        ),
        (
            b"dags '--help'",
            "at byte 5, the command's name contains quotes",
        ),
        (
            b"'' dags list",
            "at byte 0, the command's name contains quotes",
        ),
        (b"  ", "at byte 2, the text ends without a command"),
        (b"airflow", "at byte 7, the text ends without a command"),
    ];
    for (body, detail) in cases {
        let read = Command::read(body);
        let judged = read.and_then(|c| of(Policy::All).check(&c, version("2.10.3")));
        let refusal = judged.expect_err(detail);
        assert_eq!(refusal.code().text, UNREADABLE, "{detail}");
        assert!(
            refusal.to_string().starts_with(detail),
            "{detail}: {refusal}"
        );
        assert!(!refusal.hint().is_empty());
    }
}

#[test]
fn quotes_are_for_values() {
    for (line, airflow) in [
        ("dags trigger \"my dag\"", "2.10.3"),
        ("trigger_dag 'my dag'", "1.10.12"),
        ("variables --get \"my key\"", "1.10.12"),
        ("version '-v'", "2.10.3"),
        (
            "dags trigger x --note 'a\u{a0}b \u{200d} \u{feff}\t\n\r\n'",
            "3.0.6",
        ),
    ] {
        let got = verdict(line, airflow, &Rules::default());
        assert!(got.is_ok(), "{line:?} on {airflow}: {got:?}");
    }
}
