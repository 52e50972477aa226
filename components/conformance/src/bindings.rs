//! What wit-bindgen makes of the world `host-conformance` in `wit/`.

wit_bindgen::generate!({
    path: "../../wit",
    world: "host-conformance",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
});
