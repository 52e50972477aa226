wit_bindgen::generate!({
    path: "../wit",
    world: "store",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
    pub_export_macro: true,
});
