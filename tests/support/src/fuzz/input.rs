//! What a fuzzer's bytes say: choices, and arguments that have a chance to mean something.

use arbitrary::Unstructured;

/// Few names, so that calls are about the same things.
const NAMES: [&str; 12] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "root",
    "",
    "é\u{1f600}",
    "a\0b",
    "imported:",
    "blake3:",
    "%' \"",
];

/// Numbers at which something changes.
const NUMBERS: [u64; 12] = [
    0,
    1,
    2,
    3,
    63,
    1000,
    1_000_000,
    u32::MAX as u64,
    i64::MAX as u64 - 1,
    i64::MAX as u64,
    i64::MAX as u64 + 1,
    u64::MAX,
];

/// The rest of the input. At its end every choice is the first one.
pub(super) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(super) fn more(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number less than the bound, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let wide: u32 = match bound {
            0..=256 => self.byte().into(),
            _ => self.0.arbitrary().unwrap_or_default(),
        };
        wide as usize % bound.max(1)
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Half of them small.
    pub(super) fn number(&mut self) -> u64 {
        match self.byte() {
            choice @ 0..128 => u64::from(choice % 8),
            choice @ 128..250 => NUMBERS[usize::from(choice) % NUMBERS.len()],
            _ => self.0.arbitrary().unwrap_or_default(),
        }
    }

    pub(super) fn name(&mut self) -> String {
        match self.byte() {
            255 => "long ".repeat(500),
            254 => String::from_utf8_lossy(&self.bytes()).into_owned(),
            choice => NAMES[usize::from(choice) % NAMES.len()].to_owned(),
        }
    }

    /// Few bytes, or many alike.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        match self.byte() {
            choice @ 0..32 => self.take(usize::from(choice)),
            choice => {
                let length = usize::from(choice) % 8 * 700;
                vec![self.byte(); length]
            }
        }
    }

    /// As many of the next bytes as there are, up to this many.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        let length = length.min(self.0.len());
        self.0.bytes(length).unwrap_or_default().to_vec()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let length = self.0.len();
        self.0.bytes(length).unwrap_or_default()
    }

    pub(super) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    pub(super) fn list<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let length = self.below(5);
        (0..length).map(|_| make(self)).collect()
    }

    pub(super) fn names(&mut self) -> Vec<String> {
        self.list(Self::name)
    }
}
