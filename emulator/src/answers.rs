//! Answers that a user gives to commands, instead of what the built-in Airflow would print.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::command_line;

/// What a command prints and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// What it writes to standard output.
    pub stdout: String,
    /// What it writes to standard error.
    pub stderr: String,
    /// 0 if it works, 1 if it fails, 2 for a usage error.
    pub exit_code: i32,
}

impl Answer {
    /// A command that works and prints this.
    pub fn stdout(text: impl Into<String>) -> Self {
        Self {
            stdout: text.into(),
            ..Self::default()
        }
    }

    /// A command that fails with this on standard error and exit code 1.
    pub fn failed(text: impl Into<String>) -> Self {
        Self {
            stderr: text.into(),
            exit_code: 1,
            ..Self::default()
        }
    }

    /// Reads the content of an answer file: a JSON object with `stdout`, `stderr` or `exit_code`
    /// is all three, and any other text is the standard output of a command that works. Fails if
    /// such an object has other keys too, or a value of another type.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let keys = ["stdout", "stderr", "exit_code"];
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) if keys.iter().any(|key| object.contains_key(*key)) => {
                Self::deserialize(object)
            }
            _ => Ok(Self::stdout(text)),
        }
    }

    /// Reads `COMMAND=FILE`, as in `dags report=report.txt`. Fails without `=`, if the command
    /// is empty or cannot be split into words, or if the file cannot be read or is not an answer.
    pub fn read_option(text: &str) -> Result<(String, Self), AnswerError> {
        let form = || AnswerError::Form(text.to_owned());
        let (command, file) = text.split_once('=').ok_or_else(form)?;
        if command_line::split(command).is_none_or(|words| words.is_empty()) {
            return Err(form());
        }
        let text = fs::read_to_string(file);
        let text = text.map_err(|source| AnswerError::File(file.into(), source))?;
        let answer = Self::parse(&text);
        let answer = answer.map_err(|source| AnswerError::File(file.into(), source.into()))?;
        Ok((command.to_owned(), answer))
    }
}

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The text is not `COMMAND=FILE`.
    #[error("{0:?} is not COMMAND=FILE; an example is 'dags report=report.txt'")]
    Form(String),
    /// The file cannot be read as an answer in UTF-8.
    #[error("cannot read the answer file {}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
}

/// The answers by the leading words of their commands.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<(Vec<String>, Answer)>);

impl Answers {
    /// Adds an answer, or replaces that of the same command.
    pub(crate) fn set(&mut self, command: &str, answer: Answer) {
        let words = command_line::split(command)
            .unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect());
        self.0.retain(|(known, _)| *known != words);
        self.0.push((words, answer));
    }

    /// The answer whose command shares the most leading words with this one, if any.
    pub(crate) fn find(&self, words: &[String]) -> Option<&Answer> {
        let fitting = self.0.iter().filter(|(known, _)| words.starts_with(known));
        fitting
            .max_by_key(|(known, _)| known.len())
            .map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_command_wins() {
        let mut answers = Answers::default();
        for command in ["dags", "dags  list", "dags list", "dags list -o json"] {
            answers.set(command, Answer::stdout(command));
        }
        for (line, expected) in [
            ("dags list -o json", Some("dags list -o json")),
            ("dags list -o yaml", Some("dags list")),
            ("dags list-runs", Some("dags")),
            ("version", None),
        ] {
            let found = answers.find(&command_line::split(line).unwrap());
            assert_eq!(found.map(|answer| &*answer.stdout), expected, "{line}");
        }
    }

    #[test]
    fn an_answer_is_plain_text_or_an_object_of_three_keys() {
        for text in ["plain\n", r#"[{"dag_id": "x"}]"#, "{}", r#"{"other": 1}"#] {
            assert_eq!(Answer::parse(text).unwrap(), Answer::stdout(text));
        }
        let failed = Answer {
            exit_code: 2,
            ..Answer::failed("no")
        };
        assert_eq!(
            Answer::parse("{\n  \"stderr\": \"no\", \"exit_code\": 2}\n").unwrap(),
            failed
        );
    }

    #[test]
    fn a_bad_option_says_what_is_wrong() {
        for (text, expected) in [
            ("dags report", "is not COMMAND=FILE"),
            ("=file", "is not COMMAND=FILE"),
            ("dags report=/x", "read the answer file /x: No such file"),
        ] {
            let error = Answer::read_option(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
