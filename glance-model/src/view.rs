//! The view in which an image and its copy are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Adapt, Identity, ImageId, ImageMetadata, MemberStatus, MetadataDiff, NoProject, Omit, Origin,
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
    /// The origin that images are marked with which are made at the target.
    pub origin: Option<Origin>,
    /// Whether additional properties, tags and members that only the target has are a difference.
    pub mirrors: bool,
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
            origin: None,
            mirrors: false,
        }
    }

    /// Returns what the target is to say of an image of the source. Marks of the source are those
    /// of another place, and are not taken over.
    ///
    /// # Errors
    ///
    /// [`NoProject`] if its owner, or a member, has no counterpart at the target.
    pub fn wanted(&self, mut source: ImageMetadata) -> Result<Wanted, NoProject> {
        source.remove_marks();
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

    /// Marks an image that the target is to have with its origin, if it is about to be made. One of
    /// which there is something already (`found`) keeps the mark that it has, or stays without.
    pub fn mark(&self, wanted: &mut ImageMetadata, found: Option<&ImageMetadata>) {
        wanted.mark(self.origin.as_ref(), found);
    }

    /// Returns what the target says, in its form. Nothing is omitted here: what only the
    /// target has does not matter, and a record keeps it.
    #[must_use]
    pub fn found(&self, target: ImageMetadata) -> ImageMetadata {
        self.form.of(target)
    }

    /// Returns the wanted fields that the target lacks or has differently, and, for a mirror, what
    /// it alone has. An image that is retired there and wanted is so no more.
    #[must_use]
    pub fn diff(&self, wanted: &ImageMetadata, found: &ImageMetadata) -> MetadataDiff {
        let mut diff = MetadataDiff::between(wanted, found, &self.omit);
        if self.mirrors {
            diff = diff.with_surplus(wanted, found, &self.omit);
        }
        diff.with_marks(wanted, found)
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

    fn names(diff: &MetadataDiff) -> Vec<String> {
        let changes = diff.changes().iter();
        changes.map(|change| change.field.to_string()).collect()
    }

    #[test]
    fn a_mirror_loses_what_only_the_target_has_and_nothing_else() {
        let mut view = View::new(Omit::default(), TargetForm::V2 { hidden: true });
        let mut source = image();
        source.visibility = Some(Visibility::Shared);
        source.members = Some([("beta".to_owned(), MemberStatus::Unsaid)].into());
        source.tags.insert("gold".into());
        source.properties.insert("os_type".into(), "linux".into());
        let mut target = source.clone();
        let has = [
            ("beta", MemberStatus::Accepted),
            ("gamma", MemberStatus::Pending),
        ];
        target.members = Some(has.map(|(id, status)| (id.to_owned(), status)).into());
        target.tags.insert("old".into());
        target.properties.insert("empty".into(), String::new());
        target.properties.insert("gone".into(), "x".into());
        target
            .properties
            .insert("replicator_origin".into(), "prod".into());
        let (wanted, found) = (view.wanted(source).unwrap().image, view.found(target));
        assert!(view.diff(&wanted, &found).is_empty());
        view.mirrors = true;
        let diff = view.diff(&wanted, &found);
        assert_eq!(names(&diff), ["tags", "members", "gone"]);
        let mirrored = diff.apply_to(found.clone());
        assert!(view.diff(&wanted, &mirrored).is_empty());
        let members = mirrored.members.clone().unwrap();
        assert_eq!(
            members.into_iter().collect::<Vec<_>>(),
            [has[0]].map(|(id, status)| (id.to_owned(), status))
        );
        assert_eq!(mirrored.origin(), Some("prod"));
        let taken = diff.clone().take_members().unwrap();
        assert_eq!(taken.surplus.into_iter().collect::<Vec<_>>(), ["gamma"]);
        let json = serde_json::to_string(&diff).unwrap();
        assert_eq!(serde_json::from_str::<MetadataDiff>(&json).unwrap(), diff);
        // What is omitted stays, and members that are not known are not none.
        view.omit = Omit::parse("tags").unwrap().with_patterns(["g*"]).unwrap();
        let mut unknown = wanted.clone();
        unknown.members = None;
        assert!(view.diff(&unknown, &found).is_empty());
        view.omit = Omit::parse("tags members properties").unwrap();
        assert!(view.diff(&wanted, &found).is_empty());
    }

    #[test]
    fn marks_stay_where_they_are() {
        let mut view = View::new(Omit::default(), TargetForm::Whole);
        view.origin = Some("prod".parse().unwrap());
        let mut source = image();
        for (name, value) in [
            ("replicator_origin", "other"),
            ("replicator_retired_at", "2026-01-01T00:00:00Z"),
        ] {
            source.properties.insert(name.into(), value.into());
        }
        let copy = |found: Option<&ImageMetadata>| {
            let mut wanted = view.wanted(source.clone()).unwrap().image;
            view.mark(&mut wanted, found);
            assert_eq!(wanted.retired_at(), None);
            wanted.origin().map(str::to_owned)
        };
        assert_eq!(copy(None).as_deref(), Some("prod"));
        assert_eq!(copy(Some(&image())), None, "somebody else has made it");
        assert_eq!(copy(Some(&source)).as_deref(), Some("other"));
        // It is never set afterwards.
        let mut wanted = view.wanted(source.clone()).unwrap().image;
        view.mark(&mut wanted, None);
        assert!(view.diff(&wanted, &image()).is_empty());
    }

    #[test]
    fn an_image_that_is_wanted_again_is_retired_no_more() {
        for (hides, was_hidden, fields) in [
            (true, None, vec!["replicator_retired_at", "os_hidden"]),
            (true, Some(true), vec!["replicator_retired_at"]),
            (false, None, vec!["replicator_retired_at"]),
        ] {
            let form = TargetForm::V2 { hidden: hides };
            // Whatever is omitted: it was us who hid it.
            let view = View::new(Omit::parse("os_hidden properties").unwrap(), form);
            let mut source = image();
            source.hidden = was_hidden;
            let mut retired = image();
            retired.hidden = Some(true);
            let since = "2026-01-01T00:00:00Z".to_owned();
            retired
                .properties
                .insert("replicator_retired_at".into(), since);
            let mut wanted = view.wanted(source).unwrap().image;
            wanted.hidden = wanted.hidden.or(was_hidden.filter(|_| hides));
            let found = view.found(retired);
            let diff = view.diff(&wanted, &found);
            assert_eq!(names(&diff), fields);
            let now = diff.apply_to(found);
            assert_eq!(now.retired_at(), None);
            assert!(view.diff(&wanted, &now).is_empty());
        }
    }
}
