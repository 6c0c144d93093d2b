//! Prints what an image of one cloud lacks of its original in another, and the request that mends it.
//!
//! ```text
//! # each file from: curl -H "X-Auth-Token: $TOKEN" $GLANCE/v2/images/ID
//! cat original.json copy.json | record_diff
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use glance_model::{Omit, TargetForm, View, v2};
use serde_json::Deserializer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut records = Deserializer::from_reader(io::stdin()).into_iter::<v2::Record>();
    let mut read = || {
        records
            .next()
            .ok_or("two records are needed: ORIGINAL and COPY")
    };
    let (original, copy) = (read()??.into(), read()??.into());
    // A server of today; times and whatever else servers set themselves are left out.
    let view = View::new(Omit::default(), TargetForm::V2 { hidden: true });
    let wanted = view.wanted(original)?;
    let diff = view.diff(&wanted.image, &view.found(copy));
    let mut stdout = io::stdout();
    for change in diff.changes() {
        let (field, wanted) = (&change.field, change.wanted());
        match &change.target {
            Some(found) => writeln!(stdout, "{field}: {wanted}, and in the copy {found}")?,
            None => writeln!(stdout, "{field}: {wanted}, and in the copy nothing")?,
        }
    }
    writeln!(stdout, "PATCH {}", v2::patch(&diff))?;
    Ok(())
}
