//! What a recording consists of: one event a line, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Something that reached the operating system, or that the workload said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Bytes were written to a file.
    Write {
        inode: u64,
        offset: u64,
        #[serde(serialize_with = "encode", deserialize_with = "decode")]
        data: Vec<u8>,
    },
    /// A file was cut.
    Truncate { inode: u64, size: u64 },
    /// A file or directory was synced.
    Sync { inode: u64 },
    /// Names of directories changed, all at once.
    Entries(Vec<Entry>),
    /// Images are made from here on.
    Ready,
    /// A step of the workload was begun.
    Begun,
    /// A step of the workload returned. Whether it must survive a loss of power at FULL.
    Acknowledged { durable: bool },
    /// Several transactions may follow until the step is acknowledged.
    Several,
}

/// A name in a directory, and what it means from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The inode of the directory.
    pub directory: u64,
    pub name: String,
    /// `None` if the name is gone.
    pub target: Option<Target>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub inode: u64,
    pub is_directory: bool,
}

fn encode<S: serde::Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(data))
}

fn decode<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
