//! Ways to write a command so that a careless reader takes it for another one.

use fastrand::Rng;

/// Words that may be put anywhere.
const WORDS: &[&str] = &[
    "-v",
    "--verbose",
    "--",
    "-",
    "-h",
    "--help",
    "--conf",
    "{}",
    "-S",
    "-S/x",
    "-vS/x",
    "-v=S/x",
    "--subdir",
    "--subdir=/x",
    "--sub=/x",
    "--s",
    "--pid=/x",
    "--std",
    "--stdout=/x",
    "--log",
    "-l",
    "--save",
    "--sav",
    "--cfg",
    "airflow",
    "dags",
    "list",
    "trigger",
    "version",
    "users",
    "db",
    "reset",
    "delete",
    "variables",
    "x",
    "''",
    "\"\"",
    "''''",
    "$IFS",
    "#",
    "&&",
    ";",
    "|",
    ">",
    "&",
    "*",
    "~",
    "\\",
    "=",
    "X=1",
    "-sd",
    "--yes",
    "-o",
    "json",
    "--output=json",
];

/// Text that may be put before, after or between.
const BITS: &[&str] = &[
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\0",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{1680}",
    "\u{2003}",
    "\u{2028}",
    "\u{202f}",
    "\u{205f}",
    "\u{3000}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{200e}",
    "\u{202e}",
    "\u{2060}",
    "\u{2066}",
    "\u{feff}",
    "\u{fe0f}",
    "\u{301}",
    "\u{e0041}",
    "\"",
    "\"\"",
    "'",
    "''",
    "\\",
    "\\\\",
    "\\\"",
    "\\\n",
    "\\ ",
    "-",
    "--",
    "=",
    ";",
    "#",
    "$",
    "`",
    "${IFS}",
    "\u{2212}",
    "\u{2013}",
    "\u{ff0d}",
    "S",
    "v",
    "é",
    ",",
    ".",
    "/",
    "%20",
    "+",
];

/// Text that may be in front of a whole command.
const FRONTS: &[&str] = &[
    "airflow ",
    "airflow airflow ",
    " airflow\t",
    "\n",
    "\r\n ",
    "\u{feff}",
    "X=1 ",
    "AIRFLOW__CORE__X=1 ",
    "PATH= ",
    "env ",
    "sudo ",
    "exec ",
    "sh -c ",
    "./",
    "/usr/bin/",
    "-v ",
    "-- ",
    "--verbose ",
    "'' ",
    "\"\" ",
    "\\\n",
    "$(",
    "`",
    "(",
    "!",
    "version; ",
    "version\n",
    "version && ",
    "dags list ",
    "dags list\r",
    "dags list -v ",
    "dags list; ",
    "dags list | ",
    "version # ",
    "#",
    "dags ",
    "variables get ",
    "--help ",
    "dags --help ",
];

/// Text that may follow.
const BACKS: &[&str] = &[
    "\n",
    "\r\n",
    " ",
    ";",
    "; version",
    "\nversion",
    " && dags list",
    " | cat",
    " #",
    " --help",
    " -h",
    " --",
    " -- x",
    "\\",
    "\"",
    "'",
    "\0",
    " -v",
    "\u{a0}",
    " > /tmp/x",
    ")",
    "`",
    "&",
];

/// One disguise of a command.
pub(crate) fn disguise(command: &[String], random: &mut Rng) -> Vec<u8> {
    let mut words = command.to_vec();
    for _ in 0..*random.choice(&[0, 0, 1, 1, 2, 3]).expect("a number") {
        change_words(&mut words, random);
    }
    let mut line = String::new();
    for word in &words {
        if !line.is_empty() {
            line.push_str(if random.u8(..) < 240 {
                " "
            } else {
                bit(random)
            });
        }
        write_word(word, &mut line, random);
    }
    for _ in 0..*random.choice(&[0, 0, 0, 1, 1, 2]).expect("a number") {
        change_text(&mut line, random);
    }
    if random.u8(..) < 48 {
        line.insert_str(0, random.choice(FRONTS).expect("a front"));
    }
    if random.u8(..) < 48 {
        line.push_str(random.choice(BACKS).expect("a back"));
    }
    let mut body = line.into_bytes();
    if random.u8(..) < 8 && !body.is_empty() {
        let at = random.usize(..body.len());
        body[at] = random.u8(..);
    }
    body
}

fn bit(random: &mut Rng) -> &'static str {
    random.choice(BITS).expect("a bit")
}

/// Puts in, repeats, swaps, drops, shortens, joins or re-spells words.
fn change_words(words: &mut Vec<String>, random: &mut Rng) {
    if words.is_empty() {
        return words.push(bit(random).to_owned());
    }
    let at = random.usize(..words.len());
    let other = random.usize(..words.len());
    match random.u8(0..11) {
        0..=2 => words.insert(
            random.usize(..=words.len()),
            (*random.choice(WORDS).expect("a word")).to_owned(),
        ),
        3 => words.insert(other, words[at].clone()),
        4 => words.swap(at, other),
        5 => drop(words.remove(at)),
        // an abbreviation
        6 => {
            let end = places(&words[at]).nth(random.usize(..=words[at].len().min(6)));
            words[at].truncate(end.unwrap_or(0));
        }
        7 => {
            words[at].pop();
        }
        // joined and glued: `--subdir=/x`, `-S/x`, "dags list"
        8 if at + 1 < words.len() => {
            let next = words.remove(at + 1);
            words[at].push_str(
                random
                    .choice(&["=", "", " ", "_", "\u{a0}"])
                    .expect("a joint"),
            );
            words[at].push_str(&next);
        }
        // a cluster: `-vS`
        9 if words[at].starts_with('-') && !words[at].starts_with("--") => {
            words[at].insert_str(1, random.choice(&["v", "vv", "v=", "y"]).expect("a flag"));
        }
        _ => words[at] = other_case(&words[at], random),
    }
}

fn other_case(word: &str, random: &mut Rng) -> String {
    match random.u8(0..3) {
        0 => word.to_uppercase(),
        1 => word.replace('-', "_"),
        _ => {
            let flip = random.usize(..word.len().max(1));
            let changed = word.char_indices().map(|(at, c)| {
                if at != flip {
                    c
                } else if c.is_ascii_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            });
            changed.collect()
        }
    }
}

/// Writes one word: bare where that may do, quoted, escaped, or a mixture.
fn write_word(word: &str, line: &mut String, random: &mut Rng) {
    let bare = !word.is_empty() && !word.contains([' ', '"', '\'', '\\', '\n', '\t']);
    match random.u8(0..32) {
        0..=26 if bare => line.push_str(word),
        27 => {
            for c in word.chars() {
                if random.bool() {
                    line.push('\\');
                }
                line.push(c);
            }
        }
        28 => {
            let cut = places(word).nth(random.usize(..=word.len())).unwrap_or(0);
            let (left, right) = word.split_at(cut);
            line.push_str(left);
            line.push_str(random.choice(&["''", "\"\"", "'", "\""]).expect("a quote"));
            line.push_str(right);
        }
        n if n % 2 == 0 => {
            line.push('\'');
            line.push_str(&word.replace('\'', "'\\''"));
            line.push('\'');
        }
        _ => {
            line.push('"');
            line.push_str(&word.replace('\\', "\\\\").replace('"', "\\\""));
            line.push('"');
        }
    }
}

/// Inserts a bit, removes a character, or replaces one by a character that looks like it.
fn change_text(line: &mut String, random: &mut Rng) {
    let at = places(line)
        .nth(random.usize(..=line.chars().count()))
        .unwrap_or(line.len());
    match random.u8(0..4) {
        0 | 1 => line.insert_str(at, bit(random)),
        2 if at < line.len() => drop(line.remove(at)),
        _ => {
            let Some(c) = line.split_at(at).1.chars().next() else {
                return;
            };
            line.replace_range(at..at + c.len_utf8(), alike(c));
        }
    }
}

/// A character that looks like it, or nothing.
fn alike(c: char) -> &'static str {
    match c {
        'a' => "\u{430}",
        'c' => "\u{441}",
        'd' => "\u{501}",
        'e' => "\u{435}",
        'g' => "\u{261}",
        'i' => "\u{456}",
        'k' => "\u{212a}",
        'l' => "1",
        'o' => "\u{3bf}",
        'p' => "\u{440}",
        'r' => "\u{ff52}",
        's' => "\u{17f}",
        't' => "\u{ff54}",
        'u' => "\u{ff55}",
        '-' => "\u{2010}",
        ' ' => "\u{2002}",
        '"' => "\u{201d}",
        '\'' => "\u{2019}",
        '=' => "\u{ff1d}",
        _ => "",
    }
}

/// Returns the places at which a text can be cut.
fn places(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}
