//! Lists of byte strings as one value of a column.

use alloc::vec::Vec;

/// Puts byte strings one after the other, each behind its length.
pub(crate) fn pack(items: &[Vec<u8>]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(items.iter().map(|item| item.len() + 4).sum());
    for item in items {
        // Lengths of memory of a 32-bit machine fit.
        packed.extend_from_slice(&(item.len() as u32).to_le_bytes());
        packed.extend_from_slice(item);
    }
    packed
}

/// The byte strings that [`pack`] put together; none if they are damaged.
pub(crate) fn unpack(mut packed: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = Vec::new();
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk::<4>()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        items.push(item.to_vec());
        packed = rest;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_was_packed_is_unpacked() {
        let items = vec![vec![], vec![1, 2, 3], vec![0; 300]];
        assert_eq!(unpack(&pack(&items)), Some(items));
        assert_eq!(unpack(&[]), Some(vec![]));
    }

    #[test]
    fn a_cut_list_is_refused() {
        let packed = pack(&[vec![1, 2, 3], vec![4]]);
        for length in 1..packed.len() {
            let cut = unpack(&packed[..length]);
            assert!(cut.is_none() || length == 7, "cut at {length}");
        }
    }
}
