//! CPython's own `shlex`, run for many lines at once.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Returns the words of each line by CPython's `shlex.split`; `None` if it raises. No line may
/// contain U+001D, U+001E or U+001F: they separate lines and words on the way.
pub(super) fn shlex_split(lines: &[String]) -> Vec<Option<Vec<String>>> {
    const PROGRAM: &str = r"
import shlex, sys
def words(line):
    try:
        return ''.join('\x1f' + word for word in shlex.split(line, comments=False, posix=True))
    except ValueError:
        return '\x1d'
lines = sys.stdin.buffer.read().decode().split('\x1e')
sys.stdout.buffer.write('\x1e'.join(map(words, lines)).encode())
";
    assert!(!lines.is_empty());
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
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    let read: Vec<_> = output
        .split('\u{1e}')
        .map(|line| {
            let mut words = line.split('\u{1f}');
            // Each word has its separator in front.
            let before = words.next().expect("at least one part");
            (before != "\u{1d}").then(|| words.map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(read.len(), lines.len());
    read
}
