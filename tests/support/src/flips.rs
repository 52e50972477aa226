//! Damage anywhere in a file.

use std::path::Path;

use lash_wasm_store::inspect::Inspector;

use crate::damage::Random;

const PAGE: usize = 4096;

/// Flips a bit anywhere.
pub fn flip(bytes: &mut [u8], random: &mut Random) -> String {
    let (byte, bit) = (random.below(bytes.len()), random.below(8));
    if let Some(byte) = bytes.get_mut(byte) {
        *byte ^= 1 << bit;
    }
    format!("bit {bit} of byte {byte}")
}

/// Fills a page with zeros.
pub fn zero(bytes: &mut [u8], random: &mut Random) -> String {
    let page = random.below(bytes.len() / PAGE);
    if let Some(page) = bytes.chunks_mut(PAGE).nth(page) {
        page.fill(0);
    }
    format!("page {page} is zero")
}

/// Writes a page where another belongs.
pub fn misplace(bytes: &mut [u8], random: &mut Random) -> String {
    let [from, to] = [(); 2].map(|()| 1 + random.below(bytes.len() / PAGE - 1));
    bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
    format!("page {from} over page {to}")
}

/// Whether a file can be opened and nothing is wrong with it.
pub async fn is_sound(path: &Path) -> bool {
    match Inspector::open(path).await {
        Ok(inspector) => inspector
            .verify()
            .await
            .is_ok_and(|verification| verification.is_sound()),
        Err(_) => false,
    }
}
