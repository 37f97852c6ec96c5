//! The items of a run in their order, one at a time.

use crate::places;
use domain::{Item, Run};
use platform::{Blobs, Error, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, Lines};

/// A single prediction's item is in its document; those of a batch, and of a prediction whose document is of a time before
/// that, are the lines of its library.
pub enum Items {
    One(Option<Item>),
    Listed(Lines<Box<dyn AsyncBufRead + Send + Unpin>>),
}

impl Items {
    pub async fn of(blobs: &Blobs, run: &Run) -> Result<Self> {
        if run.item.is_some() {
            return Ok(Items::One(run.item.clone()));
        }
        let library: Box<dyn AsyncBufRead + Send + Unpin> =
            Box::new(blobs.reader(&places::library(&run.uid, &run.job_id)?).await?);
        Ok(Items::Listed(library.lines()))
    }

    /// The next one; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Item>> {
        match self {
            Items::One(item) => Ok(item.take()),
            Items::Listed(lines) => {
                let line = lines.next_line().await.map_err(|error| Error::internal("reading the library", error))?;
                Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
            }
        }
    }
}
