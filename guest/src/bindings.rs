//! What wit-bindgen makes of `wit/`: the types that the logic is written in.

wit_bindgen::generate!({
    path: "../wit",
    world: "store",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
    pub_export_macro: true,
});

use lash::store::{sqlite, types};

impl From<sqlite::Error> for types::Error {
    fn from(error: sqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
