//! The result of an image: words that scripts may rely on, and the reason for people.

use std::error::Error;

use replicator_core::{ImageResult, Outcome};
use serde::Serialize;
use serde_json::Value;

use super::wording::{on_a_line, why_skipped, why_stale};
use super::words;
use crate::error::why_not_done;

/// Returns the word for an outcome.
pub(crate) fn outcome_word(outcome: &Outcome) -> String {
    word(outcome).unwrap_or_default()
}

/// Returns the word for the reason of an outcome, if it has one.
pub(crate) fn reason_word(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Skipped(reason) => word(reason),
        Outcome::Failed { error, .. } => word(&error.kind()),
        Outcome::NotDone(why) => word(why),
        Outcome::Stale(stale) => word(stale),
        _ => None,
    }
}

/// Returns the reason of an outcome for people, if it has one.
pub(crate) fn reason(result: &ImageResult) -> Option<String> {
    match &result.outcome {
        Outcome::Skipped(reason) => Some(why_skipped(&result.image, reason)),
        Outcome::Failed { error, .. } => Some(on_a_line(error)),
        Outcome::Stale(stale) => Some(why_stale(&result.image, stale)),
        Outcome::NotDone(why) => Some(why_not_done(*why)),
        _ => None,
    }
}

/// Returns an error and its cause, as one text.
pub(crate) fn with_cause(error: &dyn Error) -> String {
    match words::reason(error) {
        (what, Some(why)) => format!("{what}: {why}"),
        (what, None) => what,
    }
}

/// Returns the name that a variant has when it is written down.
pub(crate) fn word(variant: &impl Serialize) -> Option<String> {
    match serde_json::to_value(variant).ok()? {
        Value::String(word) => Some(word),
        Value::Object(variant) => variant.into_iter().next().map(|(word, _)| word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use glance_model::ImageStatus;
    use replicator_core::{NotDone, SkipReason};

    use super::*;

    #[test]
    fn words_are_the_names_of_variants() {
        let skipped = Outcome::Skipped(SkipReason::SourceStatus(ImageStatus::Queued));
        assert_eq!(outcome_word(&skipped), "skipped");
        assert_eq!(reason_word(&skipped).as_deref(), Some("source_status"));
        let no_data = Outcome::Skipped(SkipReason::NoData);
        assert_eq!(reason_word(&no_data).as_deref(), Some("no_data"));
        let not_done = Outcome::NotDone(NotDone::NoRoom);
        assert_eq!(outcome_word(&not_done), "not_done");
        assert_eq!(reason_word(&not_done).as_deref(), Some("no_room"));
        assert_eq!(outcome_word(&Outcome::AlreadyThere), "already_there");
        assert_eq!(reason_word(&Outcome::AlreadyThere), None);
    }
}
