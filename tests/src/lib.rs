//! The examples of the README and of the pages in docs/, compiled and run. What the suites
//! have in common is in `support`.

#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/import.md")]
    struct Import;
    #[doc = include_str!("../../docs/plugins.md")]
    struct Plugins;
    #[doc = include_str!("../../docs/untrusted.md")]
    struct Untrusted;
}
