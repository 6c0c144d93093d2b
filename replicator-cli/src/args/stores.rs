//! The options that choose the stores of a target.

use clap::builder::NonEmptyStringValueParser;

use super::heading;

/// The word for all stores of a target.
const ALL: &str = "all";

/// The stores of a target that image data goes to.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct StoreArgs {
    /// Store of the target that data goes to
    ///
    /// A target that does not name a store so is an error before any data moves; `check`
    /// shows which there are. Without this option, a target chooses.
    #[arg(long, value_name = "ID", hide_short_help = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) store: Option<String>,

    /// More stores that proven images are copied to, or all
    ///
    /// The target copies by itself (copy-image), which it lets administrators do. Images
    /// that are there already and lack in a store are copied as well, at the price of a
    /// request for each. A store that does not take its copy is a failure of the image,
    /// which is as good as before; so is one that takes longer than --answer-timeout,
    /// and the time for its size at 10 MiB/s.
    #[arg(
        long,
        value_name = "ID,ID",
        value_delimiter = ',',
        hide_short_help = true
    )]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    copy_to_stores: Vec<String>,
}

/// Names of stores, or all that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyTo {
    These(Vec<String>),
    All,
}

impl StoreArgs {
    /// Returns whether anything is chosen.
    pub(crate) fn is_given(&self) -> bool {
        self.store.is_some() || !self.copy_to_stores.is_empty()
    }

    pub(crate) fn copy_to(&self) -> CopyTo {
        match &*self.copy_to_stores {
            [all] if all == ALL => CopyTo::All,
            names => CopyTo::These(names.to_vec()),
        }
    }
}
