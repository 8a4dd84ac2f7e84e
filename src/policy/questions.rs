//! `confirmations.csv`: commands that ask before they act, which nobody at the web server can
//! answer.

use super::option_rows::{Row, arguments_of};
use super::options::Reading;
use super::release::Release;
use std::sync::LazyLock;

/// One row of `confirmations.csv`.
#[derive(Debug)]
struct Question {
    command: &'static str,
    /// The option that answers.
    answer: &'static str,
    /// It asks only if this option is given; empty: always.
    when: &'static str,
    /// It does not ask if this option is given.
    unless: &'static str,
}

static QUESTIONS: LazyLock<Vec<Question>> = LazyLock::new(|| {
    let lines = include_str!("confirmations.csv").lines().skip(1);
    lines.filter_map(read_line).collect()
});

fn read_line(line: &'static str) -> Option<Question> {
    let mut fields = line.splitn(4, ',');
    Some(Question {
        command: fields.next()?,
        answer: fields.next()?,
        when: fields.next()?,
        unless: fields.next()?,
    })
}

/// The option that is missing, if the command would ask a question.
pub(super) fn unanswered(
    command: &str,
    reading: &Reading,
    release: &Release,
) -> Option<&'static str> {
    let question = QUESTIONS
        .iter()
        .find(|question| question.command == command)?;
    let given = |name: &str| reading.given.contains(&name);
    let asks = (question.when.is_empty() || given(question.when))
        && !given(question.unless)
        && !given(question.answer)
        && !given("--help");
    let answers = |row: &Row| row.name == question.answer && row.covers(release);
    let answerable = arguments_of(command).options.iter().any(answers);
    (asks && answerable).then_some(question.answer)
}

#[cfg(test)]
mod tests {
    use super::super::option_rows::all_rows;
    use super::*;

    #[test]
    fn every_command_with_an_answer_has_its_question() {
        let lines = include_str!("confirmations.csv").lines();
        assert_eq!(QUESTIONS.len() + 1, lines.count());
        for row in all_rows().filter(|row| ["--yes", "--no_confirm"].contains(&row.name)) {
            let question = QUESTIONS.iter().find(|q| q.command == row.command);
            assert_eq!(question.map(|q| q.answer), Some(row.name), "{row:?}");
        }
        for question in QUESTIONS.iter() {
            let has = |name: &str| {
                let options = &arguments_of(question.command).options;
                name.is_empty() || options.iter().any(|row| row.name == name)
            };
            let named = [question.answer, question.when, question.unless];
            assert!(named.into_iter().all(has), "{question:?}");
        }
    }
}
