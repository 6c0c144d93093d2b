//! Builds the book of `docs/`. That its links lead somewhere is for `tidy`, and that its commands do what
//! they say for the tests of replicator-cli.

use crate::setup;
use crate::shell::{Outcome, run};

/// Builds it into `target/book`.
pub(crate) fn build() -> Outcome {
    // Links that leave the book are rewritten by it.
    setup::install(&["jq"])?;
    setup::install_mdbook()?;
    run(setup::tool("mdbook").arg("build"))
}
