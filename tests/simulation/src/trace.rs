//! What happened, as a number that tells two executions of a seed apart, and, when asked for, as lines to read.

use std::fmt::{Display, Write};

/// The record of one execution.
#[derive(Default)]
pub struct Trace {
    digest: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines.
    pub fn kept() -> Self {
        Trace { digest: 0, lines: Some(vec![]) }
    }

    /// Takes numbers and a text into the digest.
    pub fn mix(&mut self, numbers: [u64; 3], text: &str) {
        let mut digest = self.digest;
        let words = text.as_bytes().chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        for word in numbers.into_iter().chain(words) {
            digest = (digest.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        self.digest = digest;
    }

    /// Keeps a line, if lines are kept.
    pub fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    /// What tells this execution from another one.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The lines, if they were kept.
    pub fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}

/// A duration since the beginning as `h:mm:ss.mmm`.
pub fn clock_face(milliseconds: i64) -> impl Display {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let mut face = String::new();
    let _ = write!(face, "{}:{:02}:{:02}.{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    face
}
