//! Text of others on a terminal: nothing in it can control the terminal, hide or reorder what a
//! person reads.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the text as a terminal may show it. Line ends and tabs stay; colours (`ESC [ … m`) are
/// left out; every other control character, and every one that is invisible or turns the writing
/// direction, is shown as `^[` or `<U+202E>`, as `less` does.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }

    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            plain if is_plain(plain) => shown.push(plain),
            // colours are harmless, and showing them would make logs unreadable
            '\u{1b}' => match skip_color(rest.as_str()) {
                Some(after) => rest = after.chars(),
                None => shown.push_str("^["),
            },
            // the line end of other systems; alone it would let a line write over itself
            '\r' if rest.as_str().starts_with('\n') => {}
            '\r' => shown.push('\n'),
            '\u{7f}' => shown.push_str("^?"),
            low @ '\0'..='\u{1f}' => {
                shown.push('^');
                shown.push(char::from(b'@' + u8::try_from(u32::from(low)).unwrap_or(0)));
            }
            other => {
                // writing to a String does not fail
                let _infallible = write!(shown, "<U+{:04X}>", u32::from(other));
            }
        }
    }

    Cow::Owned(shown)
}

/// Returns the text after a colour (ECMA-48 section 8.3.117, SGR) whose ESC is just before it;
/// `None` means that there is none.
fn skip_color(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix('[')?;
    let end = parameters.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    parameters.get(end..)?.strip_prefix('m')
}

fn is_plain(c: char) -> bool {
    matches!(c, '\n' | '\t' | ' '..='~') || (c > '\u{9f}' && !is_deceptive(c))
}

/// Returns true for characters that are not seen, or change how other text is seen: format
/// characters (Unicode's Cf, but for the joiners that scripts and emoji need) and the line ends
/// that only some programs know.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_control_characters_are_escaped() {
        for (text, shown) in [
            ("a\tb\r\nc\n", "a\tb\nc\n"),
            ("é 😀 \u{200d}日本", "é 😀 \u{200d}日本"),
            ("\u{1b}[1;31mred\u{1b}[0m\u{1b}[m", "red"),
            ("\u{1b}[2J\u{1b}[H", "^[[2J^[[H"),
            ("\u{1b}]0;title\u{7}", "^[]0;title^G"),
            ("\u{1b}]8;;http://evil\u{1b}\\x", "^[]8;;http://evil^[\\x"),
            ("\u{1b}Pq\u{1b}\\", "^[Pq^[\\"),
            ("\u{9b}31m\u{9d}0;t", "<U+009B>31m<U+009D>0;t"),
            ("ok\rfailed", "ok\nfailed"),
            ("\u{8}\u{7f}\0", "^H^?^@"),
            ("\u{202e}gpj\u{2066}", "<U+202E>gpj<U+2066>"),
            ("\u{1b}[31", "^[[31"),
            ("\u{1b}", "^["),
        ] {
            assert_eq!(sanitize(text), shown, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn sanitize_returns_plain_text_and_is_idempotent(
            text in "(\\PC|\\p{Cc}|\\p{Cf}|\u{1b}\\[[0-9;]*[a-zA-Z]|\u{1b}[\\]P^_X]){0,40}"
        ) {
            let shown = sanitize(&text).into_owned();
            prop_assert!(shown.chars().all(is_plain), "{shown:?}");
            prop_assert_eq!(sanitize(&shown), shown.as_str());
        }

        #[test]
        fn plain_text_is_left_alone(text in "[ -~\\n\\té-ü]{0,40}") {
            prop_assert_eq!(sanitize(&text), text.as_str());
        }
    }
}
