//! What one command line printed and how it ended.

pub(crate) use super::super::answers::Answer as CommandResult;

/// A command's outcome; both sides are printed alike, so that `?` ends a command early.
pub(super) type Reply = Result<CommandResult, CommandResult>;

impl CommandResult {
    /// A success that prints the text and nothing else.
    pub(super) fn printed(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            stderr: String::new(),
            exit_code: 0,
        }
    }

    /// A success that prints one line.
    pub(super) fn line(line: impl std::fmt::Display) -> Self {
        Self::printed(format!("{line}\n"))
    }

    /// The same, with a note on standard error.
    pub(super) fn with_note(mut self, note: &str) -> Self {
        self.stderr.push_str(note);
        self.stderr.push('\n');
        self
    }

    /// The end of a command by `SystemExit(message)`: the message on standard error, exit code 1.
    pub(super) fn system_exit(message: impl std::fmt::Display) -> Self {
        Self {
            stdout: String::new(),
            stderr: format!("{message}\n"),
            exit_code: 1,
        }
    }

    /// The end of a command by an exception nobody caught.
    ///
    /// The frames in between are left out: the last line is what clients read.
    pub(super) fn traceback(exception: &str, message: impl std::fmt::Display) -> Self {
        let stderr = format!(
            "Traceback (most recent call last):\n  \
             File \"/usr/local/airflow/.local/bin/airflow\", line 8, in <module>\n    \
             sys.exit(main())\n\
             {exception}: {message}\n"
        );
        Self {
            stdout: String::new(),
            stderr,
            exit_code: 1,
        }
    }

    /// The end of a command that asks for a confirmation nobody can give.
    ///
    /// There is no terminal behind the endpoint, so Python's `input()` meets the end of the file.
    pub(super) fn unanswered(question: &str) -> Self {
        let mut ended = Self::traceback("EOFError", "EOF when reading a line");
        question.clone_into(&mut ended.stdout);
        ended
    }
}
