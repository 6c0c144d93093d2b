//! `check`: what an end is, who we are there, and what would hurt a replication.

use std::ffi::OsString;

use glance_client::cloud::{Details, Named};
use glance_client::{ApiVersion, Survey};
use jiff::{SignedDuration, Timestamp};
use replicator_core::{ImageRef, Side};
use serde::Serialize;

use super::owners;
use crate::args::OneEndArgs;
use crate::ends::{self, Access, Connected, End, Ends, described};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Column, Row, Sink, Text, column, counted, named, with_cause};

/// The largest difference of two clocks before tokens seem to end at the wrong time.
const HARMLESS_SKEW: SignedDuration = SignedDuration::from_secs(30);
/// A token that lives shorter may not outlive an upload.
const SHORT_LIFE: SignedDuration = SignedDuration::from_mins(30);

/// Sign in to servers and print what they are and what would hurt
///
/// Nothing is changed. The token and the options of either side are used, and those of
/// the target where both are given.
#[derive(clap::Args, Debug)]
#[command(after_help = "  \
  glance-replicator check cloud:prod
  glance-replicator check cloud:prod/RegionOne cloud:dr
  glance-replicator check https://glance.example.com:9292")]
pub(crate) struct CheckArgs {
    /// The servers: HOST:PORT, a URL, cloud:NAME or env:
    ///
    /// Without any, the cloud of --os-cloud or of the variable OS_CLOUD.
    #[arg(value_name = "SERVER")]
    ends: Vec<OsString>,
    #[command(flatten)]
    one: OneEndArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<Facts>,
    access: Access,
    pub(super) ends: Vec<(String, End)>,
}

pub(super) fn asked(run: &Run<'_>, args: &CheckArgs) -> Result<Asked, CliError> {
    let access = Access::new(run, Side::Target, &args.one)?;
    let ends = Ends::new(&args.ends, &run.env).each(args.one.cloud())?;
    Ok(Asked {
        sink: run.sink()?,
        access,
        ends,
    })
}

/// Checks each end, also after one that could not be checked.
pub(super) async fn run(run: &Run<'_>, args: &CheckArgs) -> Result<ExitCode, CliError> {
    let Asked {
        mut sink,
        access,
        ends,
    } = asked(run, args)?;
    let mut code = ExitCode::Done;
    let mut first: Option<Connected> = None;
    for (name, end) in &ends {
        match check(run, &access, name, end, first.as_ref()).await {
            Ok((facts, connected)) => {
                first.get_or_insert(connected);
                sink.row(&facts)?;
                if !facts.bad_images.is_empty() && code == ExitCode::Done {
                    code = ExitCode::ImagesFailed;
                }
            }
            Err(CliError::Interrupted(signal)) => return Err(CliError::Interrupted(signal)),
            Err(error) => {
                code = code.and(error.exit_code());
                run.console.failed(&format!("{name}: "), &error);
                if !sink.is_text() {
                    sink.row(&Facts::unknown(name, &error))?;
                }
            }
        }
    }
    sink.end(&())?;
    Ok(code)
}

/// Checks an end, also as the target of copies of the images of the `first` one.
async fn check(
    run: &Run<'_>,
    access: &Access,
    name: &str,
    end: &End,
    first: Option<&Connected>,
) -> Result<(Facts, Connected), CliError> {
    let connected = ends::glance(run, access, end).await?;
    let Connected { client, caller } = &connected;
    let survey = run.ctx.until_cancelled(client.survey()).await;
    let survey = survey
        .map_err(|_| run.interrupted())?
        .map_err(|source| CliError::Connect {
            endpoint: client.endpoint().to_string(),
            source,
        })?;
    let mut facts = Facts::of(name);
    facts.endpoint = Some(client.endpoint().to_string());
    facts.line("endpoint", client.endpoint().to_string());
    facts.versions(client.version(), &survey);
    facts.caller(caller.as_ref().map(|caller| &caller.details));
    facts.server(&survey);
    if let (Some(first), Some(caller)) = (first, caller) {
        let warning = run.ctx.until_cancelled(owners::check(first, caller)).await;
        if let Some(warning) = warning.map_err(|_| run.interrupted())?? {
            facts.warn(&warning);
        }
    }
    Ok((facts, connected))
}

/// The facts about an end, and what would hurt.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Facts {
    /// The end, as it was named.
    end: String,
    /// The reason why it could not be checked.
    error: Option<String>,
    endpoint: Option<String>,
    /// The version of the Image API that is spoken.
    api: Option<String>,
    /// The versions that the server offers.
    apis: Vec<String>,
    /// The user that the token is of; null if we have not signed in with Keystone.
    user: Option<NameAndId>,
    project: Option<NameAndId>,
    roles: Vec<String>,
    /// The time at which the token ends, in RFC 3339.
    token_ends: Option<String>,
    /// The seconds by which Keystone's clock is ahead of ours.
    keystone_clock: Option<i64>,
    /// The seconds by which the server's clock is ahead of ours.
    clock: Option<i64>,
    /// The number of images on the first page of a listing.
    page_images: Option<u64>,
    /// Whether that page is the only one.
    is_one_page: Option<bool>,
    /// Whether a download that breaks off is read on; null if it could not be tried.
    range: Option<bool>,
    stores: Vec<StoreFacts>,
    import_methods: Vec<String>,
    quotas: Vec<QuotaFacts>,
    warnings: Vec<String>,
    /// The images whose records cannot be used.
    bad_images: Vec<BadImage>,
    #[serde(skip)]
    lines: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NameAndId {
    id: String,
    name: String,
}

impl From<&Named> for NameAndId {
    fn from(named: &Named) -> Self {
        Self {
            id: named.id.clone(),
            name: named.name.clone(),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StoreFacts {
    id: String,
    is_default: bool,
    is_read_only: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct QuotaFacts {
    resource: String,
    usage: u64,
    /// Null if there is none.
    limit: Option<u64>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct BadImage {
    id: String,
    name: Option<String>,
    problem: String,
}

impl Row for Facts {
    const SCHEMA: &'static str = "check/1";
    const ITEMS: &'static str = "ends";
    const COLUMNS: &'static [Column] = &[
        column("end"),
        column("error"),
        column("endpoint").long(),
        column("api"),
        column("apis").long(),
        column("user"),
        column("project"),
        column("roles"),
        column("token_ends").long(),
        column("keystone_clock").long(),
        column("clock").long(),
        column("page_images").long(),
        column("is_one_page").long(),
        column("range").long(),
        column("stores").long(),
        column("import_methods").long(),
        column("quotas").long(),
        column("warnings"),
        column("bad_images").long(),
    ];

    fn text(&self, out: &mut Text) {
        out.line(&*self.end);
        for (name, value) in &self.lines {
            out.line(format!("  {name:<12} {value}"));
        }
        for warning in &self.warnings {
            out.line(format!("  warning: {warning}"));
        }
    }
}

impl Facts {
    fn of(end: &str) -> Self {
        Self {
            end: end.to_owned(),
            ..Self::default()
        }
    }

    fn unknown(end: &str, error: &CliError) -> Self {
        let error = Some(with_cause(error));
        Self {
            error,
            ..Self::of(end)
        }
    }

    fn line(&mut self, name: &'static str, value: String) {
        self.lines.push((name, value));
    }

    fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    fn versions(&mut self, version: ApiVersion, survey: &Survey) {
        let offered = ranges(&survey.versions);
        self.api = Some(version.to_string());
        self.apis.clone_from(&survey.versions);
        self.line("API", format!("{version} is spoken; offered: {offered}"));
        match version {
            ApiVersion::V1 => self.warn(
                "v1 alone: an upload that breaks off uses up the image's id for good, and tags, \
                 hidden images and visibilities other than public are lost",
            ),
            version if !version.has_hidden() => {
                self.warn("v2 of before 2019: no hidden images, and MD5 is the only digest");
            }
            _ => {}
        }
    }

    fn caller(&mut self, details: Option<&Details>) {
        let Some(details) = details else {
            self.line("caller", "unknown: not signed in with Keystone".to_owned());
            return;
        };
        let name = |named: Option<&Named>| match named {
            Some(named) => format!("{} ({})", named.name, named.id),
            None => "none".to_owned(),
        };
        self.user = details.user.as_ref().map(NameAndId::from);
        self.project = details.project.as_ref().map(NameAndId::from);
        self.line("user", name(details.user.as_ref()));
        self.line("project", name(details.project.as_ref()));
        let roles: Vec<&str> = details.roles.iter().map(|role| &*role.name).collect();
        self.roles = roles.iter().map(|&role| role.to_owned()).collect();
        self.line("roles", roles.join(", "));
        let is_admin = details.is_admin();
        let sees = match is_admin {
            Some(true) => "all images",
            Some(false) => "the images of its project, and public ones",
            None => "what the server's policy gives its roles",
        };
        self.line("sees", sees.to_owned());
        if is_admin == Some(false) {
            self.warn(
                "not an administrator: images of other projects are neither seen nor written, and \
                 none is made public",
            );
        }
        if details.is_reader() {
            self.warn("a reader's token: records are all that it gets, and it writes nothing");
        } else if is_admin == Some(false) && !roles.contains(&"member") {
            self.warn("neither admin nor member: it can most likely not download or write");
        }
        // Given out a moment ago.
        self.keystone_clock = self.clock("Keystone", details.issued_at());
        if let Some(expires_at) = details.expires_at() {
            let left = expires_at.duration_since(Timestamp::now());
            let text = format!("{} (in {} s)", expires_at, left.as_secs());
            self.token_ends = Some(expires_at.to_string());
            self.line("token ends", text);
            if left < SHORT_LIFE {
                self.warn(
                    "tokens are short-lived: an upload that outlives its token fails with stores \
                     that use it to the end",
                );
            }
        }
    }

    fn server(&mut self, survey: &Survey) {
        let (images, is_last) = survey.first_page;
        (self.page_images, self.is_one_page) = (Some(images as u64), Some(is_last));
        let page = if is_last {
            format!("{}, all on one page", counted(images as u64, "image"))
        } else {
            format!("{} a page", counted(images as u64, "image"))
        };
        self.line("listing", page);
        for bad in &survey.bad_records {
            let image = named(&ImageRef::from(bad));
            self.warn(&format!("image {image} cannot be used: {bad}"));
            self.bad_images.push(BadImage {
                id: bad.id.clone(),
                name: bad.name.clone(),
                problem: bad.to_string(),
            });
        }
        self.range = survey.has_range;
        let range = match survey.has_range {
            Some(true) => "yes: a download that breaks off is read on",
            Some(false) => "no: a download that breaks off is read again from the start",
            None => "unknown: there is no image that can be read to try it",
        };
        self.line("Range", range.to_owned());
        if let Some(stores) = &survey.stores {
            let facts = stores.iter().map(|store| StoreFacts {
                id: store.id.clone(),
                is_default: store.is_default,
                is_read_only: store.is_read_only,
            });
            self.stores = facts.collect();
            let names: Vec<String> = stores.iter().map(described).collect();
            self.line("stores", names.join(", "));
        }
        if let Some(methods) = &survey.import_methods {
            self.import_methods.clone_from(methods);
            self.line("import", methods.join(", "));
        }
        for quota in &survey.quotas {
            self.quotas.push(QuotaFacts {
                resource: quota.resource.clone(),
                usage: quota.usage,
                limit: quota.limit,
            });
            let limit = quota
                .limit
                .map_or("no limit".to_owned(), |l| format!("of {l}"));
            self.line(
                "quota",
                format!("{}: {} {limit}", quota.resource, quota.usage),
            );
            if quota.limit.is_some_and(|limit| quota.usage >= limit) {
                self.warn("a quota is used up: nothing more can be written");
            }
        }
        let date = survey.date.as_deref();
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        self.clock = self.clock("its clock", date.map(|date| date.timestamp()));
    }

    /// Tells by how many seconds a clock is ahead of ours, and returns it.
    fn clock(&mut self, whose: &'static str, shows: Option<Timestamp>) -> Option<i64> {
        let shows = shows?;
        let ahead = shows.duration_since(Timestamp::now());
        let text = match ahead.as_secs() {
            // Dates have no fractions, and answers take a while.
            -1..=1 => "as ours".to_owned(),
            seconds if seconds > 0 => format!("{seconds} s ahead of ours"),
            seconds => format!("{} s behind ours", seconds.unsigned_abs()),
        };
        self.line(whose, text);
        if ahead.abs() > HARMLESS_SKEW {
            self.warn("the clocks differ: tokens seem to end earlier or later than they do");
        }
        Some(ahead.as_secs())
    }
}

/// Names versions, of one number those in between left out.
fn ranges(versions: &[String]) -> String {
    let number = |version: &&String| version.split('.').next().map(str::to_owned);
    let groups = versions.chunk_by(|a, b| number(&a) == number(&b));
    let groups = groups.map(|group| match group {
        [first, _, .., last] => format!("{first} to {last}"),
        few => few.join(", "),
    });
    groups.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_versions_the_first_and_the_last_are_named() {
        let versions = ["v1.0", "v1.1", "v2.0", "v2.1", "v2.17"].map(str::to_owned);
        assert_eq!(ranges(&versions), "v1.0, v1.1, v2.0 to v2.17");
        assert_eq!(ranges(&[]), "");
    }

    fn shown(facts: &Facts) -> String {
        let mut text = Text::default();
        facts.text(&mut text);
        text.to_string()
    }

    #[test]
    fn what_would_hurt_is_warned_of() {
        let mut facts = Facts::of("old:9292");
        facts.versions(ApiVersion::V1, &Survey::default());
        let mut survey = Survey::default();
        survey.date = Some("Thu, 28 Jun 2012 07:20:05 GMT".to_owned());
        survey.has_range = Some(false);
        facts.server(&survey);
        facts.caller(None);
        let text = shown(&facts);
        assert!(text.starts_with("old:9292\n  API "), "{text}");
        assert!(text.contains("warning: v1 alone"), "{text}");
        assert!(text.contains("warning: the clocks differ"), "{text}");
        assert!(text.contains("no: a download"), "{text}");
        assert!(text.contains(" s behind ours"), "{text}");

        let mut facts = Facts::of("new:9292");
        facts.clock("its clock", Some(Timestamp::now()));
        assert_eq!(shown(&facts), "new:9292\n  its clock    as ours");
        assert!(facts.warnings.is_empty());
    }
}
