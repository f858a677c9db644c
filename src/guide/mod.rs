//! The book: what the programs do, why they do it so, and how to use them.
//!
//! To learn from, in this order:
//!
//! | chapter | what it tells |
//! |---|---|
//! | [`exercise`] | from threads and `select()` to one loop ([中文](exercise::zh)) |
//! | [`steps`] | six programs of a page each, from a blocking server to that loop |
//! | [`edges`] | level and edge: the one new rule after `select()` |
//! | [`message`] | one message, room by room, and what its acknowledgement means |
//! | [`datagram`] | one datagram, room by room |
//! | [`deadlines`] | who is due, without a tick and without a heap |
//! | [`parting`] | half-close, unread input and reset, lingering, the last word |
//! | [`flaws`] | what breaks seventy lines: a command for each number |
//! | [`experiments`] | a frozen server, two kinds of loop, two legs, an end over unread input |
//! | [`measuring`] | coordinated omission, percentiles that a sample carries, whose lateness |
//! | [`practice`] | defects to find, and twelve questions |
//! | [`glossary`] | the words, in English and Chinese, and where each lives ([中文](glossary::zh)) |
//!
//! To work with:
//!
//! | chapter | what it tells |
//! |---|---|
//! | [`recipes`] | the two programs at work: in scripts, in checks, as instruments |
//! | [`path`] | a path, question by question; what ping and nc say of it; a lab of your own |
//! | [`production`] | restarts, logs, many cores, balancers, who may come, figures |
//! | [`costs`] | what it costs, measured, and how to measure it again |
//!
//! A *room* is a file or a folder of `src` with one purpose. The README is the way in: exit codes, options by task, the wire, the limits. The [map of the crate](crate) says
//! which room does what. This module holds nothing but its documentation.

// A name between brackets is found by its first definition: in the documentation that of `links.md`, or the one that
// carries a picture along; on a forge the one at the end of the chapter, which leads to the file.

pub mod exercise {
    #![doc = include_str!("pictures/threads.uri")]
    #![doc = include_str!("links.md")]
    #![doc = include_str!("exercise.md")]

    pub use crate::guide as contents;
    pub use crate::guide::steps as next;

    pub mod zh {
        #![doc = include_str!("pictures/threads.uri")]
        #![doc = include_str!("links.md")]
        #![doc = include_str!("exercise.zh-CN.md")]
    }
}

pub mod steps {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("steps.md")]
    #![doc = "\n# The listings\n"]
    #![doc = concat!("\n`blocking`:\n\n```no_run\n", include_str!("steps/blocking.rs"), "```\n")]
    #![doc = concat!("\n`threads`:\n\n```no_run\n", include_str!("steps/threads.rs"), "```\n")]
    #![doc = concat!("\n`loop`:\n\n```no_run\n", include_str!("steps/loop.rs"), "```\n")]
    #![doc = concat!("\n`pending_output`:\n\n```no_run\n", include_str!("steps/pending_output.rs"), "```\n")]
    #![doc = concat!("\n`budgets`:\n\n```no_run\n", include_str!("steps/budgets.rs"), "```\n")]
    #![doc = concat!("\n`linger`:\n\n```no_run\n", include_str!("steps/linger.rs"), "```\n")]

    pub use crate::guide as contents;
    pub use crate::guide::edges as next;
    pub use crate::guide::exercise as previous;
}

pub mod edges {
    #![doc = include_str!("pictures/token.uri")]
    #![doc = include_str!("links.md")]
    #![doc = include_str!("edges.md")]

    pub use crate::guide as contents;
    pub use crate::guide::message as next;
    pub use crate::guide::steps as previous;
}

pub mod message {
    #![doc = include_str!("pictures/message.uri")]
    #![doc = include_str!("links.md")]
    #![doc = include_str!("message.md")]

    pub use crate::guide as contents;
    pub use crate::guide::datagram as next;
    pub use crate::guide::edges as previous;
}

pub mod datagram {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("datagram.md")]

    pub use crate::guide as contents;
    pub use crate::guide::deadlines as next;
    pub use crate::guide::message as previous;
}

pub mod deadlines {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("deadlines.md")]

    pub use crate::guide as contents;
    pub use crate::guide::datagram as previous;
    pub use crate::guide::parting as next;
}

pub mod parting {
    #![doc = include_str!("pictures/reset.uri")]
    #![doc = include_str!("pictures/states.uri")]
    #![doc = include_str!("links.md")]
    #![doc = include_str!("parting.md")]

    pub use crate::guide as contents;
    pub use crate::guide::deadlines as previous;
    pub use crate::guide::flaws as next;
}

pub mod flaws {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("flaws.md")]

    pub use crate::guide as contents;
    pub use crate::guide::experiments as next;
    pub use crate::guide::parting as previous;
}

pub mod experiments {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("experiments.md")]

    pub use crate::guide as contents;
    pub use crate::guide::flaws as previous;
    pub use crate::guide::measuring as next;
}

pub mod measuring {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("measuring.md")]

    pub use crate::guide as contents;
    pub use crate::guide::experiments as previous;
    pub use crate::guide::practice as next;
}

pub mod practice {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("practice.md")]

    pub use crate::guide as contents;
    pub use crate::guide::glossary as next;
    pub use crate::guide::measuring as previous;
}

pub mod glossary {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("glossary.md")]

    pub use crate::guide as contents;
    pub use crate::guide::practice as previous;
    pub use crate::guide::recipes as next;

    pub mod zh {
        #![doc = include_str!("links.md")]
        #![doc = include_str!("glossary.zh-CN.md")]
    }
}

pub mod recipes {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("recipes.md")]

    pub use crate::guide as contents;
    pub use crate::guide::glossary as previous;
    pub use crate::guide::path as next;
}

pub mod path {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("path.md")]
    #![doc = concat!("\n```sh\n", include_str!("lab.sh"), "```")]

    pub use crate::guide as contents;
    pub use crate::guide::production as next;
    pub use crate::guide::recipes as previous;
}

pub mod production {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("production.md")]

    pub use crate::guide as contents;
    pub use crate::guide::costs as next;
    pub use crate::guide::path as previous;
}

pub mod costs {
    #![doc = include_str!("links.md")]
    #![doc = include_str!("costs.md")]

    pub use crate::guide as contents;
    pub use crate::guide::production as previous;
}
