//! The view in which an image and its copy are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Adapt, Identity, ImageId, ImageMetadata, MemberStatus, MetadataDiff, NoProject, Omit,
    TargetForm, Visibility,
};

/// The one place where what is to be omitted, who owns and shares images at the target, and the
/// form of the target are applied, so that
/// a plan, a comparison and a transfer say the same of two images.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct View {
    /// The fields that are neither compared nor sent.
    pub omit: Omit,
    /// The projects that own images at the target, and that they are shared with.
    pub identity: Identity,
    /// Whether members stay pending at the target, since the caller may not set their status.
    pub leaves_members_pending: bool,
    /// The form in which the target holds metadata.
    pub form: TargetForm,
    /// What copies are to say otherwise than their originals.
    pub adapt: Adapt,
    /// The ids at the target of the images that go by another one there, which properties of
    /// other images may name.
    pub ids: BTreeMap<ImageId, ImageId>,
}

/// The metadata that a target is to have of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wanted {
    /// The metadata, in the form of the target.
    pub image: ImageMetadata,
    /// The names of the additional properties that the target cannot hold.
    pub left_out: BTreeSet<String>,
    /// The members that do not become what they are at the source.
    pub lost: Lost,
}

/// Members that do not become at a target what they are at the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Those that the target has no projects for.
    pub members: BTreeSet<String>,
    /// Those that stay pending.
    pub statuses: BTreeSet<String>,
}

impl View {
    /// Looks at images of a target of that form.
    #[must_use]
    pub fn new(omit: Omit, form: TargetForm) -> Self {
        Self {
            omit,
            identity: Identity::default(),
            leaves_members_pending: false,
            form,
            adapt: Adapt::default(),
            ids: BTreeMap::new(),
        }
    }

    /// Returns what the target is to say of an image of the source.
    ///
    /// # Errors
    ///
    /// [`NoProject`] if its owner, or a member, has no counterpart at the target.
    pub fn wanted(&self, source: ImageMetadata) -> Result<Wanted, NoProject> {
        let mut image = self.omit.apply(self.adapt.apply(source));
        image.rename_references(&self.ids);
        let members = self.identity.apply(&mut image)?;
        if !image.visibility.is_none_or(Visibility::is_for_members) {
            image.members = None;
        }
        let mut statuses = BTreeSet::new();
        if self.leaves_members_pending {
            for (id, status) in image.members.iter_mut().flatten() {
                if !status.agrees_with(MemberStatus::Pending) {
                    statuses.insert(id.clone());
                }
                *status = MemberStatus::Unsaid;
            }
        }
        let (image, left_out) = self.form.wanted(image);
        Ok(Wanted {
            image,
            left_out,
            lost: Lost { members, statuses },
        })
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
        let Wanted {
            image: wanted,
            left_out,
            ..
        } = view.wanted(source.clone()).unwrap();
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
        let Wanted {
            image: wanted,
            left_out,
            ..
        } = view.wanted(source).unwrap();
        assert_eq!(left_out.into_iter().collect::<Vec<_>>(), ["a b"]);
        let found = view.found(image());
        assert!(view.diff(&wanted, &found).is_empty());
    }

    #[test]
    fn an_image_that_is_not_for_members_has_none() {
        let mut source = image();
        source.members = Some([("beta".to_owned(), MemberStatus::Accepted)].into());
        let view = View::new(Omit::default(), TargetForm::V2 { hidden: true });
        for (visibility, has_members) in [
            (Visibility::Private, false),
            (Visibility::Public, false),
            (Visibility::Shared, true),
            (Visibility::NotPublic, true),
        ] {
            source.visibility = Some(visibility);
            let wanted = view.wanted(source.clone()).unwrap().image;
            assert_eq!(wanted.members.is_some(), has_members, "{visibility:?}");
            let diff = view.diff(&wanted, &view.found(image()));
            let fields = diff.changes().iter().map(|change| change.field.to_string());
            let has_change = fields.into_iter().any(|field| field == "members");
            assert_eq!(has_change, has_members, "{visibility:?}");
        }
        let omit = Omit::default().with_field("members");
        let view = View::new(omit, TargetForm::Whole);
        assert_eq!(view.wanted(source).unwrap().image.members, None);
    }
}
