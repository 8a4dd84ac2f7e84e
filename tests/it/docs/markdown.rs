//! Markdown as the documents use it: fenced blocks, settings of the tests, links, anchors, code
//! words.

use std::collections::BTreeSet;

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
    /// The line of its first line in the document, from 1.
    pub(super) line: usize,
}

/// A part of a document that the tests act on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The text of a comment `<!-- test: … -->`.
    Setting(String),
    Block(Block),
}

/// Returns the settings and the blocks of a document, in its order.
pub(super) fn parts(markdown: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(markdown.lines());
    while let Some((number, line)) = lines.next() {
        let text = line.trim_start();
        if let Some(setting) = text.strip_prefix("<!-- test: ") {
            let setting = setting.strip_suffix(" -->").expect("a comment of one line");
            found.push(Part::Setting(setting.to_owned()));
        }
        let Some(language) = text.strip_prefix("```") else {
            continue;
        };
        let indent = line.strip_suffix(text).unwrap_or_default();
        let inside = lines.by_ref().take_while(|(_, line)| line.trim() != "```");
        let text: String = inside
            .flat_map(|(_, line)| [line.strip_prefix(indent).unwrap_or(line), "\n"])
            .collect();
        found.push(Part::Block(Block {
            language: language.to_owned(),
            text,
            line: number + 1,
        }));
    }
    found
}

/// Returns all blocks of a document.
pub(super) fn blocks(markdown: &str) -> Vec<Block> {
    let blocks = parts(markdown).into_iter().filter_map(|part| match part {
        Part::Block(block) => Some(block),
        Part::Setting(_) => None,
    });
    blocks.collect()
}

/// Returns the texts of a document's blocks of one language.
pub(super) fn texts(markdown: &str, language: &str) -> Vec<String> {
    let blocks = blocks(markdown).into_iter();
    let of_language = blocks.filter(|block| block.language == language);
    of_language.map(|block| block.text).collect()
}

/// Returns the paragraphs outside the blocks. A heading, a row and a list item belong to the
/// paragraph that they are written in.
fn paragraphs(markdown: &str) -> Vec<String> {
    let mut inside = false;
    let mut paragraphs = vec![String::new()];
    for line in markdown.lines() {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        // a cell may hold one backquote more than it closes, a row never
        if fence || inside || line.trim().is_empty() || line.starts_with(['|', '#']) {
            paragraphs.push(String::new());
        }
        if !inside && !fence {
            let last = paragraphs.last_mut().expect("one");
            last.extend([line, "\n"]);
        }
    }
    paragraphs
}

/// Returns what is between backquotes, outside the blocks.
pub(super) fn code_words(markdown: &str) -> Vec<String> {
    let paragraphs = paragraphs(markdown).into_iter();
    let words = paragraphs.flat_map(|paragraph| {
        let words = paragraph.split('`').skip(1).step_by(2);
        words
            .map(|word| word.replace('\n', " "))
            .collect::<Vec<_>>()
    });
    words.collect()
}

/// Returns the targets of links and pictures.
pub(super) fn links(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in paragraphs(markdown) {
        let text: String = paragraph.split('`').step_by(2).collect();
        let mut targets = Vec::new();
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')] {
            let rests = text.split(opening).skip(1);
            targets.extend(rests.filter_map(|rest| rest.split(closing).next()));
        }
        let definitions = text.lines().filter(|line| line.starts_with('['));
        targets.extend(definitions.filter_map(|line| Some(line.split_once("]: ")?.1)));
        // a title may follow
        let targets = targets
            .into_iter()
            .filter_map(|target| target.split(' ').next());
        found.extend(targets.map(str::to_owned));
    }
    found
}

/// Returns the anchors of a document: those that it sets, and those of its headings, as GitHub and
/// mdBook make them.
pub(super) fn anchors(markdown: &str) -> BTreeSet<String> {
    let set = markdown.split("<a id=\"").skip(1);
    let set = set.filter_map(|rest| rest.split('"').next());
    let mut found: BTreeSet<_> = set.map(str::to_owned).collect();
    for paragraph in paragraphs(markdown) {
        let Some(heading) = paragraph.strip_prefix('#') else {
            continue;
        };
        let heading = heading.lines().next().unwrap_or_default();
        let heading = heading.trim_start_matches('#').trim();
        // of a link only its text counts
        let text: String = heading
            .split("](")
            .enumerate()
            .map(|(place, part)| match part.split_once(')') {
                Some((_, rest)) if place > 0 => rest,
                _ => part,
            })
            .collect();
        let kept = text
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let mut unique = anchor.clone();
        for number in 1.. {
            if found.insert(unique) {
                break;
            }
            unique = format!("{anchor}-{number}");
        }
    }
    found
}

#[test]
fn documents_are_taken_apart() {
    let text = "# A `b` [c](d.md#e)\n<!-- test: demo -->\n<a id=\"f.g\"></a>\n\n1. x\n   ```sh\n   y\n   ```\n# A b c\n`e\nf`";
    assert_eq!(
        parts(text),
        [
            Part::Setting("demo".to_owned()),
            Part::Block(Block {
                language: "sh".to_owned(),
                text: "y\n".to_owned(),
                line: 7
            })
        ]
    );
    assert_eq!(code_words(text), ["b", "e f"]);
    assert_eq!(links(text), ["d.md#e"]);
    assert_eq!(
        anchors(text),
        BTreeSet::from(["a-b-c", "a-b-c-1", "f.g"].map(str::to_owned))
    );
}
