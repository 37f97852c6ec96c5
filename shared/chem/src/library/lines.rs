//! Lines of a byte stream in bounded memory: numbered, without line ends, never longer than the
//! limit. Nothing here knows columns.

use std::collections::VecDeque;
use std::io::{BufRead, Read};

use super::{LibraryError, MAX_LINE_BYTES};

/// One physical line without its line end. `number` counts from 1. `text` is `None` where the
/// line was longer than [`MAX_LINE_BYTES`].
pub(super) struct Line {
    pub number: u64,
    pub text: Option<Vec<u8>>,
}

impl Line {
    /// Whether nothing but white space is on it.
    pub fn is_blank(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.trim_ascii().is_empty())
    }
}

/// Reads lines up to a total number of bytes.
pub(super) struct Lines {
    source: Box<dyn BufRead + Send>,
    ahead: VecDeque<Line>,
    number: u64,
    left: u64,
    max_bytes: u64,
}

impl Lines {
    pub fn new(source: Box<dyn BufRead + Send>, max_bytes: u64) -> Self {
        Self { source, ahead: VecDeque::new(), number: 0, left: max_bytes, max_bytes }
    }

    /// The next lines up to and with so many that are not blank, fewer at the end. [`Lines::next_line`] still begins
    /// with them.
    pub fn sample(&mut self, filled: usize) -> Result<&[Line], LibraryError> {
        let mut found = self.ahead.iter().filter(|line| !line.is_blank()).count();
        while found < filled {
            let Some(line) = self.read_line()? else { break };
            found += usize::from(!line.is_blank());
            self.ahead.push_back(line);
        }
        Ok(self.ahead.make_contiguous())
    }

    /// The next line; `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<Line>, LibraryError> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.read_line(),
        }
    }

    fn read_line(&mut self) -> Result<Option<Line>, LibraryError> {
        let mut text = Vec::new();
        let limit = MAX_LINE_BYTES as u64 + 2;
        let taken = self.source.by_ref().take(limit).read_until(b'\n', &mut text)?;
        if taken == 0 {
            return Ok(None);
        }
        self.spend(taken as u64)?;
        let complete = text.ends_with(b"\n") || (taken as u64) < limit;
        if !complete {
            self.skip_line()?;
        }
        self.number += 1;
        if self.number == 1 && text.starts_with(b"\xef\xbb\xbf") {
            text.drain(..3);
        }
        while text.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            text.pop();
        }
        let fits = complete && text.len() <= MAX_LINE_BYTES;
        Ok(Some(Line { number: self.number, text: fits.then_some(text) }))
    }

    fn skip_line(&mut self) -> Result<(), LibraryError> {
        loop {
            let chunk = self.source.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |at| at + 1);
            self.source.consume(used);
            self.spend(used as u64)?;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), LibraryError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(LibraryError::TooLarge { max_bytes: self.max_bytes }),
        }
    }
}
