//! `compare`: what a target lacks of the images of a source.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use glance_model::{Adapt, FieldValue, Omit, View};
use replicator_core::{Compared, Difference, Group, PortError, compare};
use serde::Serialize;
use serde_json::Value;

use super::owners::{Owners, Use, leaves_members_pending};
use super::select::select;
use crate::args::{
    AllowEmpty, IdMapArgs, MetaOnly, MirrorArgs, OmitArgs, OwnerArgs, SelectionArgs, SourceArgs,
    StateArgs, TargetArgs, heading,
};
use crate::ends::{Ends, Sides, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{
    Column, Row, Sink, Text, column, counted, counts, named, or_undefined, with_cause,
};

/// Print what a target lacks of the images of a source
///
/// What only the target has is counted, and printed with --both. Every format but text
/// has it without, too. Where the newest image of a name or a tag is another one at the
/// target, it is said as well; no run can change that, and --exit-code leaves it out.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator compare [OPTIONS] <SOURCE> <TARGET>")]
#[command(after_help = "  \
  glance-replicator compare cloud:prod cloud:dr
  glance-replicator compare --exit-code cloud:prod dir:/backup/images   # 5 if they differ
  glance-replicator compare --drop-property 'os_*' cloud:prod glance.old:9292")]
pub(crate) struct CompareArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present = "source_os_cloud")]
    source: Option<OsString>,
    /// Where their copies are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present_any = ["source_os_cloud", "target_os_cloud"])]
    target: Option<OsString>,
    /// Exit with 5 if there are differences
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    exit_code: bool,
    /// Print the images that only the target has, too, which are differences then
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    both: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    metaonly: MetaOnly,
    #[command(flatten)]
    omit: OmitArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    mirror: MirrorArgs,
    #[command(flatten)]
    id_map: IdMapArgs,
    #[command(flatten)]
    owners: OwnerArgs,
    #[command(flatten)]
    source_args: SourceArgs,
    #[command(flatten)]
    target_args: TargetArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<DifferenceRow>,
    pub(super) sides: Sides,
    omit: Omit,
    adapt: Adapt,
}

pub(super) fn asked(run: &Run<'_>, args: &CompareArgs) -> Result<Asked, CliError> {
    let mut ends = Ends::new(args.source.iter().chain(&args.target), &run.env);
    let source = ends.next("SOURCE", args.source_args.source_os_cloud.as_deref())?;
    let target = ends.next("TARGET", args.target_args.target_os_cloud.as_deref())?;
    ends.finish()?;
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: args.metaonly.metaonly,
    };
    let (from, to) = (
        (source, &args.source_args),
        (vec![target], &args.target_args),
    );
    let sides = Sides::new(run, from, taken, to)?.comparing(&args.selection);
    let omit = args.omit.filter()?;
    let adapt = args.state.adapt(&omit)?;
    args.owners.check()?;
    args.id_map.check()?;
    Ok(Asked {
        sink: run.sink()?,
        sides,
        omit,
        adapt,
    })
}

pub(super) async fn run(run: &Run<'_>, args: &CompareArgs) -> Result<ExitCode, CliError> {
    let Asked {
        sink,
        sides,
        omit,
        adapt,
    } = asked(run, args)?;
    let (mut source, target) = sides.open_pair(run, args.id_map.id_map.as_deref()).await?;
    let details = source.details().cloned();
    let selected = select(run, &args.selection, &mut source.images, details.as_ref()).await?;
    let mut owners = Owners::new(run, Some(&args.owners));
    let mut view = View::new(omit, target.end.images.nature().form);
    view.adapt = adapt;
    view.mirrors = args.mirror.mirror_metadata;
    view.identity = owners.at(&source, &target, Use::Compare).await?;
    view.leaves_members_pending = leaves_members_pending(&target);
    let mut comparison = compare(
        &run.ctx,
        &*source.images,
        &*target.end.images,
        &selected.selection,
        view,
        target.end.target_ids(),
    );
    let mut output = Output {
        run,
        sink,
        both: args.both,
        totals: Totals::default(),
    };
    loop {
        let next = comparison.next().await;
        let Some(found) = next.map_err(|error| run.listing_failed(error))? else {
            break;
        };
        output.show(&found)?;
    }
    let Output {
        sink, mut totals, ..
    } = output;
    totals.compared = comparison.compared();
    sink.end(&Rest {
        source: source.images.to_string(),
        target: target.name(),
        totals,
    })?;
    let Totals {
        compared,
        differ,
        missing,
        only_at_target,
        damaged,
        other_newest,
    } = totals;
    let found = counts([
        (differ, if differ == 1 { "differs" } else { "differ" }),
        (missing, "missing"),
        (only_at_target, "only at the target"),
        (damaged, "damaged"),
    ]);
    let found = if found.is_empty() {
        "no differences"
    } else {
        &found
    };
    let mut summary = format!("{} compared: {found}", counted(compared, "image"));
    if other_newest > 0 {
        let groups = match other_newest {
            1 => "a name or tag".to_owned(),
            count => format!("{count} names or tags"),
        };
        summary += &format!("; the newest of {groups} is another one at the target");
    }
    let code = selected
        .tell(run, &*source.images, comparison.selected())
        .await?;
    if let Some(selected) = selected.summary(comparison.selected()) {
        summary += &format!(" ({selected})");
    }
    run.console.summary(&summary);
    let alone = if args.both { only_at_target } else { 0 };
    Ok(code.and(match (damaged, differ + missing + alone) {
        (1.., _) => ExitCode::ImagesFailed,
        (0, 1..) if args.exit_code => ExitCode::Differences,
        _ => ExitCode::Done,
    }))
}

/// The differences, as they are found.
struct Output<'a> {
    run: &'a Run<'a>,
    sink: Sink<DifferenceRow>,
    both: bool,
    totals: Totals,
}

impl Output<'_> {
    fn show(&mut self, found: &Compared) -> Result<(), CliError> {
        let row = DifferenceRow::of(found);
        match &found.difference {
            Difference::Missing => self.totals.missing += 1,
            Difference::OnlyAtTarget => {
                self.totals.only_at_target += 1;
                if !self.both && self.sink.is_text() {
                    return Ok(());
                }
            }
            Difference::Diff(diff) => {
                self.totals.differ += 1;
                return diff.changes().iter().try_for_each(|change| {
                    self.sink.row(&DifferenceRow {
                        field: Some(change.field.to_string()),
                        source: Some(change.source.clone()),
                        target: change.target.clone(),
                        ..row.clone()
                    })
                });
            }
            Difference::NoProject(_) => self.totals.differ += 1,
            Difference::OtherNewest { .. } => self.totals.other_newest += 1,
            Difference::Damaged { side, error } => {
                self.totals.damaged += 1;
                let image = match error {
                    PortError::BadRecord(_) => format!("image {}: ", named(&found.image)),
                    // It names the image.
                    _ => String::new(),
                };
                let place = format!("at the {side}, {image}");
                self.run.console.failed(&place, error);
            }
            _ => return Ok(()),
        }
        self.sink.row(&row)
    }
}

/// An image that one end lacks or cannot use, or a field that the target has differently.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DifferenceRow {
    id: String,
    name: Option<String>,
    difference: Word,
    /// The side of what cannot be used.
    side: Option<String>,
    /// The field that differs, or in which images agree whose newest is another one.
    field: Option<String>,
    /// The name, or the tag, of which the newest image is another one.
    group: Option<String>,
    /// The value of the field at the source, or the id of the newest image there.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    source: Option<FieldValue>,
    /// The same at the target; null as well if it says nothing.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    target: Option<FieldValue>,
    /// The reason why it cannot be used.
    message: Option<String>,
    #[serde(skip)]
    properties: BTreeMap<String, String>,
}

/// The sort of a difference.
#[derive(Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Word {
    /// The target does not have the image.
    Missing,
    /// The source does not have the image.
    OnlyAtTarget,
    /// A field differs.
    Differs,
    /// The newest image of a name or of a tag is another one at the target.
    OtherNewest,
    /// The owner, or a member, has no counterpart at the target.
    NoProject,
    /// One side has something of the image that cannot be used.
    Damaged,
}

/// The numbers of images.
#[derive(Clone, Copy, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Totals {
    /// Those of the source.
    compared: u64,
    differ: u64,
    missing: u64,
    only_at_target: u64,
    damaged: u64,
    /// The number of names and tags of which the newest image is another one at the target.
    other_newest: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    source: String,
    target: String,
    totals: Totals,
}

impl DifferenceRow {
    fn of(compared: &Compared) -> Self {
        let (image, difference_of) = (&compared.image, &compared.difference);
        let (difference, damage) = match difference_of {
            Difference::NoProject(_) => (Word::NoProject, None),
            Difference::OnlyAtTarget => (Word::OnlyAtTarget, None),
            Difference::Diff(_) => (Word::Differs, None),
            Difference::OtherNewest { .. } => (Word::OtherNewest, None),
            Difference::Damaged { side, error } => (Word::Damaged, Some((side, error))),
            _ => (Word::Missing, None),
        };
        let (group, target) = match difference_of {
            Difference::OtherNewest { group, target } => (Some(group), Some(target)),
            _ => (None, None),
        };
        let (field, group) = match group {
            Some(Group::Name(name)) => (Some("name"), Some(name)),
            Some(Group::Tag(tag)) => (Some("tags"), Some(tag)),
            None => (None, None),
        };
        let text = |id: &str| FieldValue::Text(id.to_owned());
        Self {
            id: image.id.clone(),
            name: image.name.clone(),
            difference,
            side: damage.map(|(side, _)| side.to_string()),
            field: field.map(str::to_owned),
            group: group.map(|group| group.clone().into_owned()),
            source: target.map(|_| text(&image.id)),
            target: target.map(|target| text(target.as_str())),
            message: match difference_of {
                Difference::NoProject(problem) => Some(problem.to_string()),
                _ => damage.map(|(_, error)| with_cause(error)),
            },
            properties: compared.properties.clone(),
        }
    }
}

impl Row for DifferenceRow {
    const SCHEMA: &'static str = "compare/1";
    const ITEMS: &'static str = "differences";
    const COLUMNS: &'static [Column] = &[
        column("id"),
        column("name"),
        column("difference"),
        column("side").long(),
        column("field"),
        column("group").long(),
        column("source"),
        column("target"),
        column("message").long(),
    ];
    const HAS_PROPERTIES: bool = true;

    fn property(&self, name: &str) -> Value {
        let text = self.properties.get(name);
        text.map_or(Value::Null, |text| Value::String(text.clone()))
    }

    fn text(&self, out: &mut Text) {
        let Self { id, name, .. } = self;
        let name = name.as_deref().unwrap_or_default();
        match (self.difference, &self.field, &self.source) {
            (Word::Missing, ..) => out.line(format!(
                "Image {id} (\"{name}\") entirely missing from the destination"
            )),
            (Word::OnlyAtTarget, ..) => out.line(format!(
                "Image {id} (\"{name}\") entirely missing from the source"
            )),
            (Word::Differs, Some(field), Some(source)) => {
                let target = or_undefined(self.target.as_ref());
                out.line(format!(
                    "{id}: field {field} differs (source is {source}, destination is {target})"
                ));
            }
            (Word::OtherNewest, Some(field), Some(source)) => {
                let of = if field == "tags" { "tag" } else { field };
                let group = self.group.as_deref().unwrap_or_default();
                let target = or_undefined(self.target.as_ref());
                out.line(format!(
                    "The newest image of the {of} {group:?} differs (source is {source}, \
                     destination is {target})"
                ));
            }
            (Word::NoProject, ..) => {
                let problem = self.message.as_deref().unwrap_or_default();
                out.line(format!("{id}: {problem}"));
            }
            // It is told on stderr.
            _ => {}
        }
    }
}
