//! The work that was approved, in a plan that was written down, and whether it is the same by now.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use glance_model::{Change, ImageId, ImageMetadata, MetadataDiff, Shard};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::result::Stale;

/// The bytes that an image counts for beside its data, when images are dealt out.
const EACH_BYTES: u64 = 1 << 20;

/// The work on an image, in short: enough to tell later whether it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    work: Work,
    /// Whether the image goes by another id at the target.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    other_id: bool,
    /// The content of the image at the source.
    content: Mark,
    /// All that the target is to say of the image.
    wanted: Mark,
    /// The changes of an update.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    changes: Box<[Mark]>,
}

/// The sort of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    Copy,
    Check,
    CreateRecord,
    UpdateMetadata,
    CopyToStores,
    Retire,
    Delete,
}

impl Work {
    fn removes(self) -> bool {
        matches!(self, Self::Retire | Self::Delete)
    }
}

/// The first half of the SHA-256 of a value, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Mark([u8; 16]);

impl Mark {
    fn of(value: &impl Serialize) -> Self {
        // All values are texts, numbers, and lists and maps of these.
        let digest = Sha256::digest(serde_json::to_vec(value).unwrap_or_default());
        let mut mark = [0; 16];
        mark.iter_mut()
            .zip(digest)
            .for_each(|(to, byte)| *to = byte);
        Self(mark)
    }

    fn of_change(change: &Change) -> Self {
        let field = change.field.to_string();
        Self::of(&(field, &change.target, change.wanted()))
    }
}

impl From<Mark> for String {
    fn from(Mark(mark): Mark) -> Self {
        format!("{:032x}", u128::from_be_bytes(mark))
    }
}

impl TryFrom<String> for Mark {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mark = u128::from_str_radix(&text, 16);
        let mark = mark.map(|mark| Self(mark.to_be_bytes()));
        mark.map_err(|_| format!("{text:?} is not 32 hexadecimal digits"))
    }
}

impl Approval {
    /// The approval of work on an image that the target is to have as `wanted`, or has, if it is to
    /// leave; `update` has the changes of an update.
    pub(crate) fn new(
        work: Work,
        wanted: &ImageMetadata,
        update: Option<&MetadataDiff>,
        other_id: bool,
    ) -> Self {
        let changes = update.into_iter().flat_map(MetadataDiff::changes);
        Self {
            work,
            other_id,
            content: Mark::of(&(
                wanted.size,
                &wanted.checksum,
                &wanted.hash_algo,
                &wanted.hash_value,
            )),
            wanted: Mark::of(&lasting(wanted)),
            changes: changes.map(Mark::of_change).collect(),
        }
    }

    /// Returns whether it takes an image away from the target.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.work.removes()
    }

    /// Returns whether the image is retired, if it says so, because that was approved.
    pub(crate) fn retires(&self) -> bool {
        self.work == Work::Retire
    }

    /// Returns why the work that is to be done now is not what was approved. What is left of work that
    /// was broken off is the same.
    pub(crate) fn stale(&self, now: &Self) -> Option<Stale> {
        if self.content != now.content {
            return Some(Stale::Content);
        }
        let is_same = match (self.work, now.work) {
            (Work::Copy, Work::Copy | Work::UpdateMetadata)
            | (Work::Check, Work::Check | Work::Copy | Work::UpdateMetadata)
            | (Work::CreateRecord, Work::CreateRecord | Work::UpdateMetadata)
            | (Work::Retire, Work::Retire)
            | (Work::Delete, Work::Delete) => self.wanted == now.wanted,
            (Work::UpdateMetadata, Work::UpdateMetadata) => now
                .changes
                .iter()
                .all(|change| self.changes.contains(change)),
            // The stores of a run are those of its plan.
            (Work::Copy | Work::UpdateMetadata | Work::CopyToStores, Work::CopyToStores) => true,
            _ => return Some(Stale::Action),
        };
        match is_same {
            _ if now.other_id && !self.other_id => Some(Stale::Action),
            true => None,
            false => Some(Stale::Metadata),
        }
    }
}

/// An image without what a server changes by itself.
fn lasting(image: &ImageMetadata) -> ImageMetadata {
    let mut image = image.clone();
    (image.created_at, image.updated_at, image.deleted_at) = (None, None, None);
    image.virtual_size = None;
    image.projects.clear();
    image
}

/// The work that is approved at a target, and no other is done.
#[derive(Debug, Default)]
pub struct Approved {
    /// In order of ids.
    images: Vec<(ImageId, Approval)>,
}

impl Approved {
    /// Approves work on images. Of an image that comes twice, the first approval counts.
    #[must_use]
    pub fn new(mut images: Vec<(ImageId, Approval)>) -> Self {
        images.sort_by_key(|(id, _)| *id);
        images.dedup_by_key(|(id, _)| *id);
        images.shrink_to_fit();
        Self { images }
    }

    /// Returns whether any image is to leave the target.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.images.iter().any(|(_, approval)| approval.removes())
    }

    /// Returns what is approved for an image.
    pub(crate) fn approval(&self, id: &ImageId) -> Option<&Approval> {
        let number = self.position(id)?;
        self.images.get(number).map(|(_, approval)| approval)
    }

    fn position(&self, id: &ImageId) -> Option<usize> {
        let found = self.images.binary_search_by_key(id, |(id, _)| *id);
        found.ok()
    }

    /// The images that something is approved for.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ImageId> {
        self.images.iter().map(|(id, _)| *id)
    }
}

/// The approvals of a target, as they are met.
#[derive(Default)]
pub(crate) struct Met {
    seen: Vec<bool>,
}

impl Met {
    /// Returns whether anything is approved for an image, and takes it as met.
    pub(crate) fn meet(&mut self, approved: &Approved, id: &ImageId) -> bool {
        let Some(number) = approved.position(id) else {
            return false;
        };
        self.seen.resize(approved.images.len(), false);
        if let Some(seen) = self.seen.get_mut(number) {
            *seen = true;
        }
        true
    }

    /// Returns the images that were not met, and what is approved for them.
    pub(crate) fn others<'a>(
        &self,
        approved: &'a Approved,
    ) -> impl Iterator<Item = &'a (ImageId, Approval)> {
        let seen = self.seen.iter().copied().chain(std::iter::repeat(false));
        let all = approved.images.iter().zip(seen);
        all.filter_map(|(image, seen)| (!seen).then_some(image))
    }
}

/// Deals images out by the bytes of their data, and returns those of one share: the largest first,
/// each to the share that has the least by then, and of several such to the first of them. Each image
/// counts for 1 MiB beside its data. Everybody deals alike.
pub fn deal(images: impl IntoIterator<Item = (ImageId, u64)>, shard: Shard) -> BTreeSet<ImageId> {
    // One that several targets lack is read once.
    let mut sizes: HashMap<ImageId, u64> = HashMap::new();
    for (id, bytes) in images {
        let size = sizes.entry(id).or_default();
        *size = bytes.max(*size);
    }
    let mut images: Vec<(Reverse<u64>, ImageId)> = sizes
        .into_iter()
        .map(|(id, bytes)| (Reverse(bytes), id))
        .collect();
    images.sort_unstable();
    // Shares behind the last image get none.
    let shares = shard.of().get().min(images.len() as u64);
    let mut loads: BinaryHeap<Reverse<(u64, u64)>> =
        (0..shares).map(|share| Reverse((0, share))).collect();
    let mut dealt = BTreeSet::new();
    for (Reverse(bytes), id) in images {
        let Some(mut least) = loads.peek_mut() else {
            break;
        };
        let Reverse((load, share)) = &mut *least;
        *load = load.saturating_add(bytes).saturating_add(EACH_BYTES);
        if *share == shard.index() {
            dealt.insert(id);
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use glance_model::{ImageStatus, Omit};

    use super::*;

    fn id(number: u64) -> ImageId {
        ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
    }

    fn image() -> ImageMetadata {
        let mut image = ImageMetadata::new(id(1), ImageStatus::Active);
        image.name = Some("debian".into());
        (image.size, image.checksum) = (Some(5), Some("aa".into()));
        image
    }

    #[test]
    fn each_change_between_plan_and_apply_is_told() {
        let with = |change: fn(&mut ImageMetadata)| {
            let mut image = image();
            change(&mut image);
            image
        };
        let same = || with(|_| {});
        let renamed = || with(|image| image.name = Some("other".into()));
        let tagged = || with(|image| image.tags = ["gold".to_owned()].into());
        let nameless = || with(|image| image.name = None);
        let other_data = || with(|image| image.checksum = Some("bb".into()));
        let touched = || with(|image| image.updated_at = Some("2026-01-01T00:00:01Z".into()));
        let both = with(|image| {
            image.name = Some("other".into());
            image.tags.insert("gold".into());
        });
        let of = |work, image: &ImageMetadata| Approval::new(work, image, None, false);
        let copy = |image: ImageMetadata| of(Work::Copy, &image);
        let new_id = || Approval::new(Work::Copy, &image(), None, true);
        let updated = |wanted: &ImageMetadata, found: &ImageMetadata| {
            let diff = MetadataDiff::between(wanted, found, &Omit::default());
            Approval::new(Work::UpdateMetadata, wanted, Some(&diff), false)
        };
        let (content, metadata, action) = (
            || Some(Stale::Content),
            || Some(Stale::Metadata),
            || Some(Stale::Action),
        );
        #[rustfmt::skip]
        let cases = [
            ("nothing", copy(same()), copy(same()), None),
            ("the time of the last change", copy(same()), copy(touched()), None),
            ("the data", copy(same()), copy(other_data()), content()),
            ("a name", copy(same()), copy(renamed()), metadata()),
            ("a new id", copy(same()), new_id(), action()),
            ("a new id that was approved", new_id(), new_id(), None),
            ("it was copied, and not published", copy(same()), updated(&same(), &nameless()), None),
            ("somebody else has copied it, and it changed", copy(same()), updated(&renamed(), &same()), metadata()),
            ("it is to be copied that was there", updated(&same(), &nameless()), copy(same()), action()),
            ("a part of an update was done", updated(&both, &same()), updated(&both, &tagged()), None),
            ("an update has more to do", updated(&renamed(), &same()), updated(&both, &same()), metadata()),
            ("the target says something else", updated(&renamed(), &same()), updated(&renamed(), &nameless()), metadata()),
            ("the source says something else", updated(&same(), &nameless()), updated(&renamed(), &nameless()), metadata()),
            ("a check finds it wrong", of(Work::Check, &same()), copy(same()), None),
            ("a record gets data", of(Work::CreateRecord, &same()), copy(same()), action()),
        ];
        for (what, approval, now, expected) in cases {
            let json = serde_json::to_string(&approval).unwrap();
            let read: Approval = serde_json::from_str(&json).unwrap();
            assert_eq!(read, approval, "{json}");
            assert_eq!(read.stale(&now), expected, "{what}");
        }
    }

    #[test]
    fn images_are_dealt_by_size_each_to_one_share() {
        let sizes = [900, 800, 700, 10, 10, 10, 10, 5, 0, 0].map(|mib: u64| mib << 20);
        let images = || (1..).map(id).zip(sizes);
        let share = |text: &str| deal(images(), text.parse().unwrap());
        let shares = ["0/3", "1/3", "2/3"].map(share);
        assert_eq!(shares.iter().map(BTreeSet::len).sum::<usize>(), sizes.len());
        assert_eq!(shares[0].iter().collect::<Vec<_>>(), [&id(1)]);
        assert!(shares[1].contains(&id(2)) && shares[2].contains(&id(3)));
        assert_eq!(share("3/3"), shares[0]);
        // Of several targets, it counts once.
        let twice: Vec<_> = images().chain(images()).collect();
        assert_eq!(deal(twice, "1/3".parse().unwrap()), shares[1]);
        assert_eq!(share("0/1").len(), sizes.len());
        let most = format!("5/{}", u64::MAX);
        assert_eq!(share(&most).len(), 1);
    }
}
