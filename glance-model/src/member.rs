//! The projects that an image is shared with.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The members of an image: the ids of projects, and whether each has taken the image in.
pub type Members = BTreeMap<String, MemberStatus>;

/// The answer of a project that an image is shared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemberStatus {
    /// None yet: the image is in no list of the project.
    Pending,
    /// The image is in the lists of the project.
    Accepted,
    /// The project does not want it.
    Rejected,
    /// Images v1 has no word for it, so it agrees with each of the others.
    Unsaid,
}

impl MemberStatus {
    /// Reads the word of v2.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Accepted, Self::Rejected, Self::Unsaid];
        all.into_iter().find(|status| status.as_str() == text)
    }

    /// The word of v2 for it, or `unsaid`, which v2 has no word for.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unsaid => "unsaid",
        }
    }

    /// Returns whether two ends say the same, as far as both can.
    #[must_use]
    pub fn agrees_with(self, other: Self) -> bool {
        self == other || self == Self::Unsaid || other == Self::Unsaid
    }
}

impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns whether each of the members is one of `found`, with a status that agrees.
pub(crate) fn are_among(wanted: &Members, found: &Members) -> bool {
    wanted.iter().all(|(project, status)| {
        let found = found.get(project);
        found.is_some_and(|found| status.agrees_with(*found))
    })
}

/// Returns the members of both; where the statuses do not agree, the one that is wanted.
pub(crate) fn joined(wanted: &Members, found: &Members) -> Members {
    let mut joined = found.clone();
    for (project, status) in wanted {
        let place = joined.entry(project.clone()).or_insert(*status);
        if !status.agrees_with(*place) {
            *place = *status;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(of: &[(&str, MemberStatus)]) -> Members {
        let members = of.iter().map(|(id, status)| ((*id).to_owned(), *status));
        members.collect()
    }

    #[test]
    fn what_v1_does_not_say_is_no_difference_and_changes_nothing() {
        use MemberStatus::{Accepted, Pending, Unsaid};
        let v1 = members(&[("a", Unsaid)]);
        let v2 = members(&[("a", Accepted), ("b", Pending)]);
        assert!(are_among(&v1, &v2));
        assert!(!are_among(&v2, &v1), "b is missing");
        assert_eq!(joined(&v1, &v2), v2);
        let pending = members(&[("a", Pending)]);
        assert!(!are_among(&pending, &v2));
        assert_eq!(joined(&pending, &v2)["a"], Pending);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["pending", "accepted", "rejected", "unsaid"] {
            assert_eq!(MemberStatus::parse(word).unwrap().to_string(), word);
        }
        assert_eq!(MemberStatus::parse("other"), None);
    }
}
