//! Advice: what the user can do about an error.

use std::borrow::Cow;
use std::error::Error;
use std::io;

use glance_client::ErrorKind;
use glance_model::{ContentProblem, MetadataProblem, is_additional};
use replicator_core::{IdProblem, ImageError, ListingError, NotDone, PortError, Wrong};
use replicator_fs::ArchiveError;

use self::clouds::{hint_of_cloud, hint_of_connection};
use crate::error::CliError;

mod clouds;

/// An error that is shown with advice on it.
pub(crate) trait Advised: Error {
    /// Returns what the user can do about it, where we know.
    fn hint(&self) -> Option<Cow<'static, str>>;
}

impl Advised for CliError {
    fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Auth(error) => {
                return hint_of_cloud(error)
                    .map(Cow::Owned)
                    .or_else(|| adapter(error).map(Cow::Borrowed));
            }
            Self::Listing(ListingError::Failed { source, .. })
            | Self::NotListed { source, .. }
            | Self::Unfinished { source } => {
                return source.hint();
            }
            Self::End { hint, .. } | Self::Job { hint, .. } => {
                return hint.clone().map(Cow::Owned);
            }
            Self::NoArchiveButCloud { cloud, .. } => {
                return Some(Cow::Owned(format!(
                    "there is a cloud of that name: write {cloud}"
                )));
            }
            Self::Snapshots { newest, .. } => {
                let newest = newest.as_deref();
                let newest = newest.map(|newest| format!(", as dir:{}", newest.display()));
                return Some(Cow::Owned(format!(
                    "`dump --snapshot` makes one more; else name a snapshot{}; `glance-replicator \
                     archive list` shows them",
                    newest.unwrap_or_default()
                )));
            }
            Self::NoSuchJob { near, .. } => {
                let near = near.join(", ");
                return Some(Cow::Owned(format!("there are the jobs {near}")));
            }
            Self::JobLock { .. } => Some(
                "`locks: DIR` in the file of jobs names a directory that the user of the job can write to",
            ),
            Self::EmptySnapshot { .. } => Some(
                "can the token still see the images? If there are none by now, make snapshots in another \
                 directory",
            ),
            Self::NoSuchImage { near, .. } if near.is_empty() => {
                Some("`glance-replicator list` shows the images that there are")
            }
            Self::NoSuchImage { near, .. } => {
                let near: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
                let near = near.join(", ");
                return Some(Cow::Owned(format!("there are images called {near}")));
            }
            Self::Connect { source, .. } => adapter(source),
            Self::Archive(error) => hint_of_archive(error),
            Self::DeleteOfSome => Some(
                "leave them out; or, with --yes, only selected images are retired and deleted, and \
                 of these those that the source does not have any more",
            ),
            Self::HeldBack { why, .. } => match why {
                NotDone::TooManyGone { images, .. } => {
                    return Some(Cow::Owned(format!(
                        "look at them with --dry-run; if they are to go, --max-delete {images} lets \
                         them, in a plan when it is made"
                    )));
                }
                NotDone::NotConfirmed => Some("without a terminal, --delete takes --yes"),
                NotDone::MayBeACopy => Some(
                    "give the --id-map that these copies were made with, or a new one if there was none",
                ),
                NotDone::SourceEmpty => Some(
                    "is it the right source, and does the token see its images? What is to be \
                     deleted all the same is deleted at the target itself",
                ),
                NotDone::NothingSelected => Some(
                    "is it the right selection? Where the source has lost all images of it, they are \
                     deleted at the target itself",
                ),
                _ => None,
            },
            Self::NoSyslog => {
                Some("start a syslog, or use --logfile; in a container it has to be mounted")
            }
            _ => None,
        };
        hint.map(Cow::Borrowed)
    }
}

impl Advised for PortError {
    fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::AlreadyExists { .. } => Some(
                "the image was deleted there, which uses up its id until it is purged from Glance's \
                 database, or this token does not see it (an administrator's does); --on-id-conflict \
                 new-id copies it under another id; docs/stuck-images.md has all ways out",
            ),
            Self::Adapter { source, .. } | Self::Damaged { source, .. } => adapter(&**source),
            _ => None,
        };
        hint.map(Cow::Borrowed)
    }
}

impl Advised for ImageError {
    fn hint(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Self::Source(error) | Self::Target(error) | Self::Stage(error) | Self::IdMap(error) => {
                return error.hint();
            }
            Self::Id(problem) => hint_of_id(problem),
            Self::Metadata { problems } => return Some(Cow::Owned(hint_of_metadata(problems))),
            Self::Refused(problem) => hint_of_content(problem),
            Self::StillSaving => {
                "run it again later; if the server was killed meanwhile, the record stays so, and a \
                 later run says what can be done"
            }
            Self::LeftToAnother { .. } => {
                "run it again later; if no other run is under way, an upload ended without its server \
                 noticing, and docs/stuck-images.md has the ways out"
            }
            Self::Content(Wrong::TargetDiffers { .. }) => {
                "the target has another image of that id, or the data was damaged on its way or in its \
                 store; the copy cannot be written over: --on-id-conflict new-id copies the image \
                 under another id"
            }
            Self::DifferentContent(_) => {
                "neither is written over: --on-id-conflict new-id copies the source's image under \
                 another id (deleting the target's uses up the id)"
            }
            Self::Content(
                Wrong::ReadBack { .. } | Wrong::SourceDigest { .. } | Wrong::SourceChanged { .. },
            ) => {
                "in an archive, `dump --verify read-back` reads what is there and copies what is \
                 wrong again; at a server, the data is damaged in its store or on the way from it"
            }
            Self::OtherOwner { .. } => {
                "sign in as an administrator; or make it an image of the token's own project (--owner mine)"
            }
            Self::ReaderAtSource => {
                "sign in as a member of the project, or as an administrator; --metaonly copies records"
            }
            Self::ReaderAtTarget => "sign in as a member of the project, or as an administrator",
            Self::NotPublished => {
                "sign in as an administrator; or --visibility community, shared or private gives the \
                 copies less"
            }
            Self::Content(Wrong::Hollow) => {
                "its data is gone from the store, or its record was brought back without it \
                 (glance-scrubber --restore); whoever runs the target can put the data back; else \
                 delete the image there, which uses up its id until it is purged, and copy it with \
                 --on-id-conflict new-id"
            }
            Self::NoFormat { .. } => {
                "Images v1 lets them be set at the source (`glance --os-image-api-version 1 \
                 image-update --disk-format raw --container-format bare ID`); or create the record at \
                 the target with the same id, name and formats (`openstack image create --id ID \
                 --disk-format raw --container-format bare NAME`), and run it again"
            }
            _ => return None,
        }))
    }
}

/// Advice on the error of an adapter, whose type a port hides: the only place where it is
/// looked for.
fn adapter(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(hint) = hint_of_connection(error) {
        return Some(hint);
    }
    let mut next = Some(error);
    while let Some(error) = next {
        let hint = match error.downcast_ref() {
            Some(error) => hint_of_client(error),
            None => error.downcast_ref().and_then(hint_of_archive),
        };
        if hint.is_some() {
            return hint;
        }
        next = error.source();
    }
    None
}

fn hint_of_client(error: &glance_client::Error) -> Option<&'static str> {
    if is_of_fixed_format(error) {
        return Some(
            "v2 does not change the formats of an image that has its data, for nobody: create \
             the image anew at the end where they are wrong",
        );
    }
    if error.kind() == ErrorKind::Forbidden {
        let says = |word| error.message().is_some_and(|text| text.contains(word));
        if says("publicize_image") {
            return Some(
                "the target lets administrators alone publish images: --visibility community, \
                 shared or private gives the copies less",
            );
        }
        if says("deactivate") {
            return Some(
                "the target lets administrators alone deactivate images: its copy has its data, and \
                 is active; an administrator's run deactivates it",
            );
        }
    }
    hint_of_refusal(error).or_else(|| hint_of_request(error))
}

/// Returns whether a server is a Glance, and lacks the version of the API that was chosen.
fn is_of_chosen_version(error: &glance_client::Error) -> bool {
    let message = error.message().unwrap_or_default();
    message.contains("no v1 among its versions") || message.contains("no v2 among its versions")
}

/// Returns whether an update was refused for a format (403, as if it were for the caller).
fn is_of_fixed_format(error: &glance_client::Error) -> bool {
    error.kind() == ErrorKind::Forbidden
        && error
            .message()
            .is_some_and(|message| message.contains("_format can be only replaced"))
}

/// Advice on what a target would refuse of metadata: a cure for each sort of it.
fn hint_of_metadata(problems: &[MetadataProblem]) -> String {
    let mut cures: Vec<String> = Vec::new();
    for problem in problems {
        let field = problem.field();
        let cure = match problem {
            MetadataProblem::NoUpdate { .. } => {
                "whoever runs the target can require no properties there (Glance 33 looks for them in \
                 each single change); meanwhile it takes new images that are private or shared \
                 (--visibility private), neither protected nor hidden, and no updates"
                    .to_owned()
            }
            MetadataProblem::Lacking { .. } if is_additional(field) => {
                format!("--set-property {field}=VALUE gives it to each copy")
            }
            _ if is_additional(field) => format!(
                "--set-property {field}=VALUE gives each copy another value, --drop-property {field} \
                 none"
            ),
            _ if field == "tags" => "-D tags leaves the tags out".to_owned(),
            _ if field.ends_with("_format") => format!(
                "create it anew at the source with a {field} that the target takes (a push: \
                 --{}), or have it taken there ([image_format] in glance-api.conf)",
                field.replace('_', "-")
            ),
            _ => format!("change the {field} at the source"),
        };
        if !cures.contains(&cure) {
            cures.push(cure);
        }
    }
    cures.join("; ")
}

/// Tried with real servers: v2 answers 403 to a change of `disk_format` once there is data.
fn hint_of_content(problem: &ContentProblem) -> &'static str {
    match problem {
        ContentProblem::Empty { .. } => {
            "an image of no bytes is what Nova makes of a server that runs from a volume: its \
             block_device_mapping is what counts. v2 does not change the disk_format of an image \
             that is there: create it anew at the source, with the same properties and the \
             disk_format raw; or, for a copy that no later run is to update, dump it, write raw \
             into its metadata file, and load it from there"
        }
        ContentProblem::Mismatch { .. } => {
            "create it anew at the source with the right disk_format, which v2 does not change \
             once there is data; or dump it, correct its metadata file, and load it from there; \
             --format-check off sends it to a target that does not check"
        }
        ContentProblem::RefusedBefore { .. } => {
            "the record there takes no data with that disk_format any more: create the image \
             anew at the source, with the right one; what is left there can be deleted"
        }
        _ => {
            "convert the data into an image that stands alone (`qemu-img convert`), and create it \
             anew at the source; if the target does not check what it is given, --format-check off \
             sends it all the same"
        }
    }
}

fn hint_of_id(problem: &IdProblem) -> &'static str {
    match problem {
        IdProblem::DeadUpload { .. } => {
            "Glance takes no data for it any more; whoever runs it can set the record back to \
             queued in its database, once the part of the data is removed from the store (of an \
             import, from the staging store); else \
             delete the image there, which uses up its id until it is purged, and copy it with \
             --on-id-conflict new-id"
        }
        IdProblem::Spoiled => {
            "only deleting the image there helps, which uses up its id until it is purged from \
             Glance's database; --on-id-conflict new-id copies it under another one"
        }
        _ => {
            "Glance never gives a used id again; only the image's purge from Glance's database \
             (glance-manage db purge, then purge_images_table) frees it; --on-id-conflict new-id \
             copies it under another one"
        }
    }
}

/// Advice on a server's words, where its status does not say enough.
fn hint_of_refusal(error: &glance_client::Error) -> Option<&'static str> {
    let is_of_property = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["schema", "property", "properties", "signature"]
            .iter()
            .any(|word| text.contains(word))
    };
    let is_refused =
        error.kind() == ErrorKind::Rejected && error.message().is_some_and(is_of_property);
    is_refused.then_some(
        "if the target does not take one of the image's properties, --drop-property NAME leaves it out",
    )
}

fn hint_of_request(error: &glance_client::Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::Connect if error.is_through_proxy() => clouds::PROXY,
        ErrorKind::Unauthorized if error.is_signed_in() => {
            "Keystone gave the token for this cloud, and its image service does not take it: the \
             rules of an application credential may leave out the image service, a token of the \
             entry's own may have expired, or the endpoint is that of another cloud"
        }
        ErrorKind::Connect => "is the server running, and are its host and port right?",
        ErrorKind::SpeaksTls => "write the address as a URL with https://",
        ErrorKind::Unanswered => {
            "the target may still be storing it: run it again later, and if its store takes longer \
             than that, with a longer --answer-timeout"
        }
        ErrorKind::NotGlance if is_of_chosen_version(error) => {
            "without --source-api and --target-api, the version that the server has is spoken"
        }
        ErrorKind::NotGlance => {
            "is this the address of the image service? (`openstack endpoint list --service image`)"
        }
        ErrorKind::Unauthorized => {
            "give a valid token in GLANCE_REPLICATOR_TOKEN, or one for each side in \
             GLANCE_REPLICATOR_SOURCETOKEN and GLANCE_REPLICATOR_TARGETTOKEN; tokens expire \
             (`openstack token issue` gives a new one)"
        }
        ErrorKind::Forbidden => {
            "the server knows the token and does not let it do this; replicating the images of \
             all projects needs the role admin"
        }
        ErrorKind::TooLarge => {
            "the target's quota or size limit is reached; raise it, or free room"
        }
        ErrorKind::UnsupportedContent => {
            "the target does not take the data for the image's disk_format, and its record there \
             takes none any more: delete it, and purge it from Glance's database (glance-manage db \
             purge), or leave it; and create the image anew at the source, with the right \
             disk_format, since v2 does not change that of an image that has its data"
        }
        _ => return None,
    })
}

fn hint_of_archive(error: &ArchiveError) -> Option<&'static str> {
    match error {
        ArchiveError::Write { source, .. } => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("make room, and run it again: what is done is kept")
            }
            _ => None,
        },
        ArchiveError::NoArchive { .. } => {
            Some("is it the right directory? An archive has a file ID, and mostly ID.img, an image")
        }
        ArchiveError::NoSnapshots { .. } => Some(
            "snapshots need a directory of their own; without --snapshot, images are dumped into this \
             one",
        ),
        ArchiveError::Ahead { .. } => Some(
            "set the clock of this machine right; if it is the snapshot that is wrong, rename it to its \
             true time",
        ),
        ArchiveError::Empty { .. } => Some(
            "is it the right directory, and is its disk mounted? --allow-empty takes it as it is",
        ),
        ArchiveError::Metadata { .. }
        | ArchiveError::OtherImage { .. }
        | ArchiveError::TooLarge { .. }
        | ArchiveError::DataLength { .. } => {
            Some("the archive is damaged there; dump the image again")
        }
        ArchiveError::NotOurs { .. } => Some(
            "if it is not needed, remove it, and run it again; a stage is best a directory where \
             nobody else may write",
        ),
        ArchiveError::Changed { .. } => {
            Some("find out who else works in this directory, and run it again")
        }
        ArchiveError::DataMissing { .. } => Some(
            "dump the image again, which brings its data back; if the archive was dumped by the \
             Python tool without data (--metaonly), give --metaonly here as well",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use replicator_core::{FailureKind, Operation};

    use super::*;

    #[test]
    fn a_hint_is_found_at_any_depth_of_an_error() {
        let full = ArchiveError::Write {
            path: "/archive/x".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        let error = PortError::adapter(Operation::ListImages, FailureKind::Unusable, full);
        let error = Arc::new(ImageError::Target(error));
        assert!(error.hint().unwrap().starts_with("make room"));
    }
}
