//! What the pages are made of besides HTML: files of this room, within the program.

/// A file that a page refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its media type, for `Content-Type`.
    pub media: &'static str,
    /// Its content.
    pub text: &'static str,
}

/// The style sheet, at `/-/style.css`.
pub const fn style() -> Asset {
    Asset {
        media: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    }
}

/// The icon, at `/-/icon.svg`.
pub const fn icon() -> Asset {
    Asset {
        media: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    }
}

/// The script of the copy buttons, at `/-/copy.js`.
pub const fn script() -> Asset {
    Asset {
        media: "text/javascript; charset=utf-8",
        text: include_str!("assets/copy.js"),
    }
}
