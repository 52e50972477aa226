//! Lists of byte strings as one value of a column.

use alloc::vec::Vec;

/// Puts byte strings one after the other, each behind its length.
pub(crate) fn pack<B: AsRef<[u8]>>(items: &[B]) -> Vec<u8> {
    let length = items.iter().map(|item| item.as_ref().len() + 4).sum();
    let mut packed = Vec::with_capacity(length);
    for item in items {
        let item = item.as_ref();
        // Lengths of memory of a 32-bit machine fit.
        packed.extend_from_slice(&(item.len() as u32).to_le_bytes());
        packed.extend_from_slice(item);
    }
    packed
}

/// The byte strings that [`pack`] put together; none if they are damaged.
pub(crate) fn unpack(mut packed: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk::<4>()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        items.push(item);
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
        let items = [vec![], vec![1, 2, 3], vec![0; 300]];
        let packed = pack(&items);
        assert_eq!(unpack(&packed).unwrap(), items);
        assert_eq!(unpack(&[]), Some(Vec::new()));
    }

    #[test]
    fn a_cut_list_is_refused() {
        let packed = pack(&[&[1, 2, 3][..], &[4]]);
        for length in 1..packed.len() {
            let cut = unpack(&packed[..length]);
            assert!(cut.is_none() || length == 7, "cut at {length}");
        }
    }
}
