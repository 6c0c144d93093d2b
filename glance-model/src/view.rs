//! The view in which an image and its copy are compared.

use std::collections::BTreeSet;

use crate::{ImageMetadata, MetadataDiff, Omit, TargetForm};

/// The one place where what is to be omitted and the form of the target are applied, so that
/// a plan, a comparison and a transfer say the same of two images.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct View {
    /// The fields that are neither compared nor sent.
    pub omit: Omit,
    /// The form in which the target holds metadata.
    pub form: TargetForm,
}

impl View {
    /// Looks at images of a target of that form.
    #[must_use]
    pub fn new(omit: Omit, form: TargetForm) -> Self {
        Self { omit, form }
    }

    /// Returns what the target is to say of an image of the source, and the names of the
    /// additional properties that it cannot hold.
    #[must_use]
    pub fn wanted(&self, source: ImageMetadata) -> (ImageMetadata, BTreeSet<String>) {
        self.form.wanted(self.omit.apply(source))
    }

    /// Returns what the target says, in its form. Nothing is omitted here: what only the
    /// target has does not matter, and a record keeps it.
    #[must_use]
    pub fn found(&self, target: ImageMetadata) -> ImageMetadata {
        self.form.of(target)
    }

    /// Returns the wanted fields that the target lacks or has differently.
    #[must_use]
    pub fn diff(&self, wanted: &ImageMetadata, found: &ImageMetadata) -> MetadataDiff {
        MetadataDiff::between(wanted, found, &self.omit)
    }

    /// Returns the changes of a diff that can be made once the target has a record, and the
    /// names of the additional properties that can only come with its creation.
    #[must_use]
    pub fn updatable(&self, diff: MetadataDiff) -> (MetadataDiff, BTreeSet<String>) {
        diff.updatable(self.form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageStatus};

    fn image() -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        ImageMetadata::new(id, ImageStatus::Active)
    }

    #[test]
    fn what_is_omitted_is_neither_wanted_nor_different() {
        let mut source = image();
        source.owner = Some("acme".into());
        source.properties.insert("hw_disk".into(), "scsi".into());
        source.properties.insert("os_type".into(), "linux".into());
        source.null_properties.insert("hw_null".into());
        source.other.insert("hw_other".into(), 5.into());
        let omit = Omit::parse("owner").unwrap().with_patterns(["hw_*"]);
        let view = View::new(omit.unwrap(), TargetForm::Whole);
        let (wanted, left_out) = view.wanted(source.clone());
        assert!(left_out.is_empty());
        assert_eq!(wanted.owner, None);
        let found = view.found(image());
        let names = |diff: MetadataDiff| {
            let names = diff.changes().iter().map(|change| change.field.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(view.diff(&wanted, &found)), ["os_type"]);
        // The diff omits by itself what a caller has not: names and patterns alike.
        assert_eq!(names(view.diff(&source, &found)), ["os_type"]);
    }

    #[test]
    fn what_a_form_cannot_say_is_named_and_no_difference() {
        let mut source = image();
        source.tags.insert("gold".into());
        source.properties.insert("a b".into(), "x".into());
        let view = View::new(Omit::default(), TargetForm::V1);
        let (wanted, left_out) = view.wanted(source);
        assert_eq!(left_out.into_iter().collect::<Vec<_>>(), ["a b"]);
        let found = view.found(image());
        assert!(view.diff(&wanted, &found).is_empty());
    }
}
