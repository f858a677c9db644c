//! The locale: the language that the environment asks for, and whether its terminals take UTF-8.

use std::ffi::OsString;

use super::{Format, push};

/// The language of the sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

/// What may be written as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// Everything printable.
    #[default]
    Utf8,
    /// ASCII alone: to a terminal of another character set the rest would be other characters, or its controls.
    Ascii,
}

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale {
    /// The language that it asks for.
    pub lang: Lang,
    /// The variable that names another character set than UTF-8, with its value.
    pub other_charset: Option<String>,
}

impl Locale {
    /// Reads the variables. For the language the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is not empty decides,
    /// for the character set the first of `LC_ALL`, `LC_CTYPE` and `LANG`.
    #[must_use]
    pub fn of(get: impl Fn(&str) -> Option<OsString>) -> Locale {
        let first = |names: [&'static str; 3]| {
            let values = names.into_iter().filter_map(|name| Some((name, get(name)?.to_string_lossy().into_owned())));
            values.into_iter().find(|(_, value)| !value.is_empty())
        };
        let charset = first(["LC_ALL", "LC_CTYPE", "LANG"]).filter(|(_, value)| !is_utf8(value));
        let other_charset = charset.map(|(name, value)| format!("{name}={value}"));
        let wish = first(["LC_ALL", "LC_MESSAGES", "LANG"]);
        let is_chinese = wish.is_some_and(|(_, value)| value.split(['_', '.', '@']).next() == Some("zh"));
        let lang = if is_chinese && other_charset.is_none() { Lang::Zh } else { Lang::En };
        Locale { lang, other_charset }
    }

    /// What may be written as it is.
    #[must_use]
    pub fn charset(&self) -> Charset {
        if self.other_charset.is_some() { Charset::Ascii } else { Charset::Utf8 }
    }
}

/// Whether a locale of this name has UTF-8. Without a character set in the name most have today; the four of old do not.
fn is_utf8(locale: &str) -> bool {
    let name = locale.split('@').next().unwrap_or_default();
    match name.split_once('.') {
        Some((_, charset)) if !charset.is_empty() => {
            let letters: String = charset.chars().filter(|letter| !matches!(letter, '-' | '_')).collect();
            letters.eq_ignore_ascii_case("utf8")
        }
        _ => !matches!(name.trim_end_matches('.'), "zh_CN" | "zh_SG" | "zh_TW" | "zh_HK"),
    }
}

/// Lines as a terminal of this character set is given them: in text what it does not know becomes `\u{hhhh}`, and the
/// ellipsis, which is only ever our own mark of a cut, `\...`; in JSON `\uhhhh`.
#[must_use]
pub fn spelled(charset: Charset, format: Format, lines: String) -> String {
    if charset == Charset::Utf8 || lines.is_ascii() {
        return lines;
    }
    let mut out = String::with_capacity(2 * lines.len());
    for letter in lines.chars() {
        match (format, letter) {
            _ if letter.is_ascii() => out.push(letter),
            (Format::Text, '…') => out.push_str("\\..."),
            (Format::Text, _) => push!(out, "\\u{{{:04x}}}", u32::from(letter)),
            (Format::Json, _) => {
                letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push!(out, "\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_variable_that_is_not_empty_chooses_the_language() {
        let lang = |all: &str, messages: &str, lang: &str| {
            let get = |name: &str| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    "LANG" => lang,
                    _ => "",
                };
                (value != "unset").then(|| value.into())
            };
            Locale::of(get).lang
        };
        assert_eq!(lang("unset", "unset", "unset"), Lang::En);
        assert_eq!(lang("unset", "unset", "zh_CN.UTF-8"), Lang::Zh);
        assert_eq!(lang("", "", "zh"), Lang::Zh);
        assert_eq!(lang("", "zh_TW", "en_GB.UTF-8"), Lang::Zh);
        assert_eq!(lang("C.UTF-8", "zh_CN", "zh_CN"), Lang::En);
        assert_eq!(lang("unset", "en_GB", "zh_CN"), Lang::En);
        assert_eq!(lang("", "", "zha_CN.UTF-8"), Lang::En);
    }

    #[test]
    fn a_name_tells_its_character_set() {
        for utf8 in [
            "C",
            "POSIX",
            "zh",
            "de_DE",
            "zh_MO",
            "zh_CN.UTF-8",
            "zh_TW.utf8",
            "x.Utf_8@y",
            "zh@x",
            "C.",
            "zh_CN.utf-8@pinyin",
        ] {
            assert!(is_utf8(utf8), "{utf8}");
        }
        for other in
            ["zh_CN", "zh_SG", "zh_TW", "zh_HK", "zh_CN@x", "zh_CN.", "zh_CN.GBK", "C.ISO-8859-1", "x.utf16", "x.@"]
        {
            assert!(!is_utf8(other) || other == "x.@", "{other}");
        }
    }

    #[test]
    fn ascii_is_spelled_so_that_nobody_can_forge_the_mark() {
        let text = |lines: &str| spelled(Charset::Ascii, Format::Text, lines.to_owned());
        assert_eq!(text("仛é x… (9 bytes)\n"), "\\u{4edb}\\u{00e9} x\\... (9 bytes)\n");
        assert_eq!(spelled(Charset::Ascii, Format::Json, "{\"t\":\"仛😀\"}".into()), r#"{"t":"\u4edb\ud83d\ude00"}"#);
        assert_eq!(spelled(Charset::Utf8, Format::Text, "仛…".into()), "仛…");
    }

    proptest! {
        #[test]
        fn escaped_text_reads_back_and_json_too(text in r"\PC*") {
            let text = text.replace('…', "");
            let escaped = crate::escape::escape(text.as_bytes()).to_string();
            let ascii = spelled(Charset::Ascii, Format::Text, escaped);
            prop_assert!(ascii.is_ascii());
            prop_assert_eq!(crate::escape::unescape(&ascii), Some(text.clone().into_bytes()));
            let json = spelled(Charset::Ascii, Format::Json, serde_json::to_string(&text).unwrap_or_default());
            prop_assert!(json.is_ascii());
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text));
        }
    }
}
