//! Pages of a column as the file has them, but none whose claims would make the Parquet library take more memory than
//! the page itself is worth.

use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// Pages that are safe to decode.
pub(super) struct Pages {
    inner: Box<dyn PageReader>,
    physical: Physical,
}

impl Pages {
    pub fn new(inner: Box<dyn PageReader>, physical: Physical) -> Self {
        Self { inner, physical }
    }

    fn check(&self, page: &Page) -> Result<()> {
        // Room is made for all values of a dictionary at once.
        if page.is_dictionary_page() && page.num_values() as usize > page.buffer().len() / self.least_bytes() {
            return Err(ParquetError::General("a dictionary claims more values than it holds".into()));
        }
        // Of the delta encodings, those of text make room for as many lengths as they claim to have.
        let plain = matches!(page.encoding(), Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
        if plain || self.physical != Physical::BYTE_ARRAY {
            return Ok(());
        }
        let encoding = page.encoding();
        Err(ParquetError::General(format!("text in the encoding {encoding}; write it plain or with a dictionary")))
    }

    /// Bytes that a value of a dictionary takes at least.
    fn least_bytes(&self) -> usize {
        if self.physical == Physical::INT64 { 8 } else { 4 }
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }
}
