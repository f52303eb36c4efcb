//! Measures the size of the data on disk.
//!
//! The write-ahead log holds pages that the database file does not have yet, so the size of the database is not the
//! size of either file. The frame of the log's last commit holds it, as a number of pages
//! (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use crate::failure::Failure;

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Returns the size of the database in bytes, with everything committed but without the log. Nothing may be written
/// meanwhile.
pub(crate) fn database_size(folder: &Path) -> Result<u64, Failure> {
    let in_log = match File::open(folder.join("tidings.db-wal")) {
        Ok(log) => committed_size(BufReader::new(log))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    match in_log {
        Some(bytes) => Ok(bytes),
        None => Ok(fs::metadata(folder.join("tidings.db"))?.len()),
    }
}

/// Returns the size of the database in bytes after the log's last commit; `None` if the log has no commit.
fn committed_size(mut log: impl Read) -> Result<Option<u64>, Failure> {
    let mut header = [0; LOG_HEADER];
    if log.read_exact(&mut header).is_err() {
        return Ok(None);
    }
    let page = u32_at(&header, 8);
    let salts = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER + usize::try_from(page)?];
    let mut size = None;
    // Frames with other salts were written before SQLite restarted the log.
    while log.read_exact(&mut frame).is_ok() && frame[8..16] == *salts {
        let pages = u32_at(&frame, 4);
        if pages > 0 {
            size = Some(u64::from(pages) * u64::from(page));
        }
    }
    Ok(size)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Returns the total size of the folder's files in bytes.
pub(crate) fn folder_size(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
