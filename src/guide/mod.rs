//! The book: what the programs do, why they do it so, and how to use them.
//!
//! | chapter | what it tells |
//! |---|---|
//! | [`exercise`] | from threads and `select()` to one loop |
//! | [`message`] | what one acknowledgement means, and the loop that it comes from |
//! | [`costs`] | what it costs, measured, and how to measure it again |
//! | [`recipes`] | the two programs at work: in scripts, in checks, as instruments |
//! | [`path`] | a path, question by question; what ping and nc say of it; a lab of your own |
//! | [`production`] | restarts, balancers, who may come, figures |
//! | [`glossary`] | the words, in English and Chinese, and where each lives |
//!
//! The README is the way in: exit codes, options by task, the wire, the limits. The [map of the crate](crate) says
//! which room does what. This module holds nothing but its documentation.

pub mod exercise {
    #![doc = include_str!("exercise.md")]

    pub use crate::guide as contents;
    pub use crate::guide::message as next;
}

pub mod message {
    #![doc = include_str!("message.md")]

    pub use crate::guide as contents;
    pub use crate::guide::costs as next;
    pub use crate::guide::exercise as previous;
}

pub mod costs {
    #![doc = include_str!("costs.md")]

    pub use crate::guide as contents;
    pub use crate::guide::message as previous;
    pub use crate::guide::recipes as next;
}

pub mod recipes {
    #![doc = include_str!("recipes.md")]

    pub use crate::guide as contents;
    pub use crate::guide::costs as previous;
    pub use crate::guide::path as next;
}

pub mod path {
    #![doc = include_str!("path.md")]
    #![doc = concat!("\n```sh\n", include_str!("lab.sh"), "```")]

    pub use crate::guide as contents;
    pub use crate::guide::production as next;
    pub use crate::guide::recipes as previous;
}

pub mod production {
    #![doc = include_str!("production.md")]

    pub use crate::guide as contents;
    pub use crate::guide::glossary as next;
    pub use crate::guide::path as previous;
}

pub mod glossary {
    #![doc = include_str!("glossary.md")]

    pub use crate::guide as contents;
    pub use crate::guide::production as previous;
}
