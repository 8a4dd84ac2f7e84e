//! CPython's own `shlex` about what was forwarded.

use crate::quoting;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Compares the words of forwarded lines with what `shlex.split` makes of them.
pub(crate) fn compare(lines: &[String]) {
    const PROGRAM: &str = r"
import shlex, sys
for line in sys.stdin.buffer.read().decode().split('\x1e'):
    sys.stdout.buffer.write('\x1f'.join(shlex.split(line)).encode() + b'\x1e')
";
    if lines.is_empty() {
        return;
    }
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed by the tests");
    let input = lines.join("\u{1e}");
    let mut stdin = python.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = python.wait_with_output().expect("python3 ends");
    writer.join().expect("the writer").expect("python3 reads");
    assert!(
        output.status.success(),
        "shlex can't read what was forwarded"
    );
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    let read: Vec<_> = output.split_terminator('\u{1e}').collect();
    assert_eq!(read.len(), lines.len());
    for (line, theirs) in lines.iter().zip(read) {
        let ours = quoting::take_apart(line).expect("our own quoting");
        assert_eq!(theirs, ours.join("\u{1f}"), "{line:?}");
    }
}
