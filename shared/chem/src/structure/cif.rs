//! The `_atom_site` loop of an mmCIF as a table of borrowed text. Quoted values and multi-line
//! text blocks elsewhere in the file are stepped over correctly; other categories are ignored.

use super::StructureError;

/// Rows of the atom table, all values still text.
pub(super) struct Table<'a> {
    columns: Vec<&'a str>,
    values: Vec<&'a str>,
}

impl<'a> Table<'a> {
    /// Finds and reads the first `_atom_site` loop.
    pub fn read(cif: &'a str) -> Result<Self, StructureError> {
        let mut tokens = Tokens { rest: cif, line_start: true }.peekable();
        while let Some(token) = tokens.next() {
            if !token.is_word("loop_") {
                continue;
            }
            let mut columns = Vec::new();
            while let Some(tag) = tokens.next_if(|t| t.bare && t.text.starts_with('_')) {
                columns.push(tag.text);
            }
            if !columns.first().is_some_and(|tag| tag.starts_with("_atom_site.")) {
                continue;
            }
            let mut values = Vec::new();
            while let Some(value) = tokens.next_if(Token::is_value) {
                values.push(value.text);
            }
            return Self { columns, values }.checked();
        }
        Err(StructureError::NoAtoms)
    }

    fn checked(self) -> Result<Self, StructureError> {
        let width = self.columns.len();
        if self.values.is_empty() {
            return Err(StructureError::NoAtoms);
        }
        if !self.values.len().is_multiple_of(width) {
            return Err(StructureError::BrokenRow { atom: self.values.len() / width + 1 });
        }
        Ok(self)
    }

    /// The rows, each as long as there are columns.
    pub fn rows(&self) -> impl Iterator<Item = &[&'a str]> {
        self.values.chunks_exact(self.columns.len())
    }

    /// Index of a column of `_atom_site`, if the file has it.
    pub fn optional(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|tag| tag.strip_prefix("_atom_site.") == Some(name))
    }

    /// Index of a column that must be there.
    pub fn required(&self, column: &'static str) -> Result<usize, StructureError> {
        self.optional(column).ok_or(StructureError::MissingColumn { column })
    }

    /// The author's column, or else the dictionary's: PDB files carry the author's names.
    pub fn either(&self, author: &str, label: &'static str) -> Result<usize, StructureError> {
        self.optional(author).map_or_else(|| self.required(label), Ok)
    }
}

struct Token<'a> {
    text: &'a str,
    /// Not quoted and not a text block, so it may be a tag or keyword.
    bare: bool,
}

impl Token<'_> {
    fn is_word(&self, word: &str) -> bool {
        self.bare && self.text.eq_ignore_ascii_case(word)
    }

    fn is_value(&self) -> bool {
        let starts = |prefix: &str| self.text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        !self.bare
            || !(self.text.starts_with('_')
                || starts("data_")
                || starts("save_")
                || self.is_word("loop_")
                || self.is_word("stop_"))
    }
}

/// CIF 1.1 lexing: white space separates, `#` starts a comment, quotes end before white space, and
/// a semicolon at the start of a line opens a text block that another one closes.
struct Tokens<'a> {
    rest: &'a str,
    line_start: bool,
}

impl<'a> Tokens<'a> {
    fn skip_space(&mut self) {
        loop {
            let trimmed = self.rest.trim_start();
            let skipped = &self.rest[..self.rest.len() - trimmed.len()];
            if !skipped.is_empty() {
                self.line_start = skipped.ends_with('\n');
            }
            self.rest = trimmed;
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    /// Cuts `text` bytes off as a token and drops `after` more.
    fn cut(&mut self, from: usize, to: usize, after: usize, bare: bool) -> Token<'a> {
        let text = &self.rest[from..to];
        self.rest = self.rest.get(to + after..).unwrap_or_default();
        self.line_start = false;
        Token { text, bare }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        let first = self.rest.chars().next()?;
        if first == ';' && self.line_start {
            let end = self.rest.find("\n;").unwrap_or(self.rest.len());
            return Some(self.cut(1, end.max(1), 2, false));
        }
        if first == '\'' || first == '"' {
            let closes = |(at, quote): &(usize, &str)| {
                let next = self.rest[at + quote.len()..].chars().next();
                *at > 0 && next.is_none_or(char::is_whitespace)
            };
            let close = self.rest.match_indices(first).find(closes).map(|(at, _)| at);
            let end = close.unwrap_or(self.rest.len());
            return Some(self.cut(1, end, 1, false));
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        Some(self.cut(0, end, 0, true))
    }
}
