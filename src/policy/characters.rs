//! Characters that readers of a command line disagree about.

use super::unreadable::Why;

/// What is wrong with a character that stands outside quotes, if anything is. Space, tab and
/// line ends are the caller's.
pub(super) fn bare(c: char) -> Option<Why> {
    match c {
        '!'..='~' => None,
        c if c.is_control() => Some(Why::Control(c)),
        c if c.is_whitespace() => Some(Why::Space(c)),
        c if is_invisible(c) => Some(Why::Invisible(c)),
        _ => None,
    }
}

/// What is wrong with a character between quotes, if anything is: control characters but tab,
/// LF, and CR before LF. Readers that open a text as lines turn a lone CR into something else.
pub(super) fn quoted(c: char, next: Option<char>) -> Option<Why> {
    match c {
        '\t' | '\n' => None,
        '\r' if next == Some('\n') => None,
        c if c.is_control() => Some(Why::Control(c)),
        _ => None,
    }
}

/// Whether a character shows nothing or only changes how others look: Unicode's general category
/// Cf, the property Default_Ignorable_Code_Point (Unicode 16), and the blank of Braille.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn knows_each_space_and_each_format_character_of_unicode() {
        // Control, format, and the three kinds of separators, as CPython's own tables have them.
        const PROGRAM: &str = "
import sys, unicodedata
for code in range(sys.maxunicode + 1):
    if unicodedata.category(chr(code)) in ('Cc', 'Cf', 'Zs', 'Zl', 'Zp'):
        print(code)
";
        let output = Command::new("python3")
            .args(["-c", PROGRAM])
            .output()
            .expect("python3 is needed by the tests");
        let listed = String::from_utf8(output.stdout).expect("digits");
        let mut seen = 0;
        for line in listed.lines() {
            let code: u32 = line.parse().expect("a number");
            let c = char::from_u32(code).expect("no surrogate is in these categories");
            if c != ' ' {
                assert!(bare(c).is_some(), "U+{code:04X} passes outside quotes");
                seen += 1;
            }
        }
        assert!(seen > 200, "Python named only {seen}");
    }

    #[test]
    fn leaves_letters_signs_and_what_stands_in_quotes_alone() {
        for c in ['a', '~', '#', ';', 'é', 'ß', '日', '😀', '\u{301}'] {
            assert_eq!(bare(c), None, "{c:?}");
        }
        for c in [
            '\t', '\n', ' ', '\u{a0}', '\u{200d}', '\u{fe0f}', '\u{2028}',
        ] {
            assert_eq!(quoted(c, None), None, "{c:?}");
        }
        assert_eq!(quoted('\r', Some('\n')), None);
        assert_eq!(quoted('\r', Some('x')), Some(Why::Control('\r')));
        assert_eq!(quoted('\u{85}', None), Some(Why::Control('\u{85}')));
        assert_eq!(bare('\u{7f}'), Some(Why::Control('\u{7f}')));
        assert_eq!(bare('\u{3000}'), Some(Why::Space('\u{3000}')));
        assert_eq!(bare('\u{200b}'), Some(Why::Invisible('\u{200b}')));
    }
}
