//! What the source says about `Debug` and about copies of secrets.

use crate::tree;

/// Types that hold what a client or a web server sent, whose own `Debug` shows it.
const CARRIERS: &[&str] = &[
    "Bytes",
    "BytesMut",
    "HeaderMap",
    "HeaderValue",
    "Parts",
    "PathAndQuery",
    "Request",
    "Response",
    "Uri",
];

/// Fields of these names hold such things as plain text.
const FIELDS: &[&str] = &[
    "arguments",
    "command",
    "cookie",
    "form",
    "https_proxy",
    "kept",
    "line",
    "output",
    "password",
    "secret",
    "stderr",
    "stdout",
    "token",
    "words",
];

/// What a type shows that derives `Debug` over a field that must not be shown. A field of another
/// type of ours is that type's own affair.
fn shown(body: &str) -> Option<String> {
    let words = body.split(|c: char| !c.is_alphanumeric() && c != '_');
    let mut words = words.filter(|word| CARRIERS.contains(word));
    if let Some(carrier) = words.next() {
        return Some(carrier.to_owned());
    }
    if body.contains("[u8]") || body.contains("Vec<u8>") {
        return Some("bytes".to_owned());
    }
    let fields = body.split(['\n', ',', '{', '(']);
    let mut fields = fields.filter_map(|field| field.split_once(':'));
    let field = fields.find(|(name, of)| {
        let name = name.trim().rsplit(' ').next().unwrap();
        let text = of.contains("String") || of.contains("str") || of.contains("Value");
        let harmless = of.contains("'static str") || of.contains("Secret<");
        FIELDS.contains(&name) && text && !harmless
    });
    field.map(|(name, _)| name.trim().to_owned())
}

/// The types that derive `Debug`, each with its name and its fields.
fn deriving(source: &str) -> Vec<(String, String)> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = Vec::new();
    for part in code.split("#[derive(").skip(1) {
        let (derived, rest) = part.split_once(")]").unwrap();
        let item = rest
            .find("struct ")
            .into_iter()
            .chain(rest.find("enum "))
            .min();
        let (before, item) = rest.split_at(item.unwrap());
        if !derived.split(", ").any(|one| one.trim() == "Debug") {
            continue;
        }
        let name = item.split_whitespace().nth(1).unwrap();
        let name = name.split(['<', '(', ';', '{']).next().unwrap();
        // rustfmt closes an item at the column of its first line
        let start = before.rsplit('\n').next().unwrap();
        let column = start.len() - start.trim_start().len();
        let close = format!("\n{}}}", " ".repeat(column));
        let first_line = item.lines().next().unwrap();
        let body = if first_line.ends_with('{') {
            item.split(&close).next().unwrap()
        } else {
            item.split([';', '}']).next().unwrap()
        };
        let (_, fields) = body.split_once(name).unwrap();
        found.push((name.to_owned(), fields.to_owned()));
    }
    found
}

#[test]
fn no_type_with_secret_fields_derives_debug() {
    let mut types = 0;
    for path in tree::files("src", "rs") {
        if path.contains("/tests") {
            continue;
        }
        for (name, body) in deriving(&tree::read(&path)) {
            types += 1;
            assert_eq!(shown(&body), None, "{path}: {name}: use debug_fields!");
        }
    }
    assert!(types > 150, "only {types} types were found");
}

#[test]
fn the_check_finds_a_type_that_shows_too_much() {
    for (shows, source) in [
        (true, "#[derive(Debug)]\nstruct A {\n    head: Parts,\n}\n"),
        (true, "#[derive(Debug, Clone)]\npub struct A(HeaderMap);\n"),
        (
            true,
            "#[derive(Debug)]\nenum A {\n    One,\n    Two(Vec<u8>),\n}\n",
        ),
        (
            true,
            "#[derive(Debug)]\npub enum A {\n    One { pub token: String },\n}\n",
        ),
        (
            true,
            "    #[derive(Debug)]\n    #[x]\n    struct A {\n        words: Vec<String>,\n    }\n",
        ),
        (
            false,
            "#[derive(Debug)]\nstruct A {\n    token: Secret<String>,\n}\n",
        ),
        (
            false,
            "#[derive(Debug)]\nstruct A {\n    name: String,\n}\nstruct B(HeaderMap);\n",
        ),
        (false, "#[derive(Clone)]\nstruct A(Bytes);\n"),
        (
            false,
            "#[derive(Debug)]\nstruct Request {\n    size: usize,\n}\n",
        ),
        (false, "#[derive(Debug)]\nstruct A;\nfn f(head: Parts) {}\n"),
    ] {
        let found = deriving(source);
        assert_eq!(
            found.iter().any(|(_, body)| shown(body).is_some()),
            shows,
            "{source}"
        );
    }
}

/// Methods that copy text or bytes.
const COPIES: &[&str] = &["clone", "into", "to_owned", "to_string", "to_vec"];

/// The methods without arguments that are called one after the other.
fn calls(mut chain: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (call, rest) = chain.strip_prefix('.')?.split_once("()")?;
        chain = rest;
        Some(call)
    })
}

/// Files that must hand a copy to a library, and why.
const COPYING: &[(&str, &str)] = &[(
    "src/egress/proxy_handshake.rs",
    "hyper-util's SOCKS takes user and password as plain text",
)];

/// A copy that is made of a revealed secret is owned by a secret again.
#[test]
fn no_revealed_secret_is_copied_into_a_plain_value() {
    let mut reveals = 0;
    for path in tree::files("src", "rs") {
        let source = tree::read(&path);
        let source = source.split("#[cfg(test)]").next().unwrap();
        for line in source.lines().filter(|line| line.contains(".reveal()")) {
            reveals += 1;
            let (before, after) = line.split_once(".reveal()").unwrap();
            let copies = calls(after).any(|call| COPIES.contains(&call));
            if copies && COPYING.iter().any(|(file, _)| path == *file) {
                continue;
            }
            assert!(!copies && !before.contains("format!"), "{path}: {line}");
        }
    }
    assert!(reveals > 5, "only {reveals} were found");
}
