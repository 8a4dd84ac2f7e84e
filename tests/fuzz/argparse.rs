//! The options that argparse finds in the words of a command, written after CPython's
//! `argparse.py` (`_parse_optional`, `_get_option_tuples`, `consume_optional`).

/// One option of a parser.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) spellings: Vec<&'static str>,
    pub(crate) takes_value: bool,
}

impl Flag {
    /// Reads `-o/--output=`.
    pub(crate) fn read(text: &'static str) -> Self {
        let spellings = text.trim_end_matches('=');
        Self {
            spellings: spellings.split('/').collect(),
            takes_value: spellings.len() < text.len(),
        }
    }

    fn has(&self, spelling: &str) -> bool {
        self.spellings.contains(&spelling)
    }
}

/// Returns all options that argparse finds in the words.
pub(crate) fn taken<'a>(words: &[String], flags: &'a [Flag]) -> Vec<&'a Flag> {
    let mut found = Vec::new();
    for word in words.iter().take_while(|word| *word != "--") {
        one_word(word, flags, &mut found);
    }
    found
}

fn one_word<'a>(word: &str, flags: &'a [Flag], found: &mut Vec<&'a Flag>) {
    if !word.starts_with('-') || word.len() == 1 {
        return;
    }
    let exact = |spelling: &str| flags.iter().find(|flag| flag.has(spelling));
    if let Some(flag) = exact(word) {
        return found.push(flag);
    }
    if let Some((head, value)) = word.split_once('=')
        && let Some(flag) = exact(head)
    {
        return letters(flag, head, value, flags, found);
    }
    let mut tuples = Vec::new();
    let head = word.split('=').next().unwrap_or(word);
    let second = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
    let (short, glued) = word.split_at(second);
    for flag in flags {
        for spelling in &flag.spellings {
            if word.starts_with("--") {
                if spelling.starts_with(head) {
                    tuples.push((flag, *spelling, ""));
                }
            } else if *spelling == short {
                tuples.push((flag, *spelling, glued));
            } else if spelling.starts_with(word) {
                tuples.push((flag, *spelling, ""));
            }
        }
    }
    // More than one is an error of argparse's: nothing runs.
    if let [(flag, spelling, glued)] = tuples.as_slice() {
        letters(flag, spelling, glued, flags, found);
    }
}

/// Goes through the letters behind a flag, up to one that takes the rest as its value.
fn letters<'a>(
    mut flag: &'a Flag,
    spelling: &str,
    mut glued: &str,
    flags: &'a [Flag],
    found: &mut Vec<&'a Flag>,
) {
    found.push(flag);
    if spelling.starts_with("--") {
        return;
    }
    while !flag.takes_value {
        let mut rest = glued.chars();
        let Some(letter) = rest.next() else { return };
        let Some(next) = flags.iter().find(|flag| flag.has(&format!("-{letter}"))) else {
            return;
        };
        found.push(next);
        (flag, glued) = (next, rest.as_str());
    }
}
