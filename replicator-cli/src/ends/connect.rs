//! Puts ends and adapters together: the only module that names both adapters.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use glance_client::cloud::{self, Cloud, CloudOptions, CloudTokens, Details};
use glance_client::{AuthToken, ClientConfig, GlanceClient, GlanceEnd, Tls};
use replicator_core::{ImageSource, ImageTarget, Side, Stage, TargetEnd};
use replicator_fs::{ArchiveError, Contents, IdMapFile, ImageArchive, Snapshot, Snapshots};

use super::location::End;
use super::named::cloud_called;
use super::nothing::Nothing;
use super::place::Place;
use super::stores;
use super::tokens::token;
use crate::args::{Given, SideArgs, StoreArgs, WayArgs};
use crate::error::CliError;
use crate::run::Run;
use crate::secrets;

/// The use for which an archive is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It has to be there, and stays as it is.
    Read,
    /// It is created if need be.
    Write,
    /// It stays as it is, and one that is missing is taken for an empty one.
    DryRun,
}

/// The options and tokens by which the servers of one side are reached.
pub(crate) struct Access {
    side: Side,
    args: SideArgs,
    token: Option<AuthToken>,
    answer_timeout: Option<Duration>,
    stores: StoreArgs,
    lists_all_first: bool,
}

impl Access {
    /// Takes the options of a side.
    pub(crate) fn new(
        run: &Run<'_>,
        side: Side,
        args: impl Into<SideArgs>,
    ) -> Result<Self, CliError> {
        let args = args.into();
        let both = run.common.servers.token.as_deref();
        Ok(Self {
            side,
            token: token(args.token.as_ref(), both, &run.env)?,
            args,
            answer_timeout: None,
            stores: StoreArgs::default(),
            lists_all_first: false,
        })
    }

    /// Sets how uploads are done.
    pub(crate) fn sending(self, way: &WayArgs) -> Self {
        Self {
            answer_timeout: Some(way.answer_timeout()),
            ..self
        }
    }

    /// Sets whether all images are listed first.
    pub(crate) fn listing_all(self, lists_all_first: bool) -> Self {
        Self {
            lists_all_first,
            ..self
        }
    }

    /// Sets the stores that data goes to.
    pub(crate) fn into_stores(self, stores: &StoreArgs) -> Self {
        Self {
            stores: stores.clone(),
            ..self
        }
    }
}

/// The parts of an archive that are taken as a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Whether one without images is a source at all.
    pub(crate) allow_empty: bool,
    pub(crate) metadata_only: bool,
}

/// Opens the end that images come from.
pub(super) async fn source(
    run: &Run<'_>,
    access: &Access,
    end: &End,
    taken: Taken,
) -> Result<Source, CliError> {
    let End::Archive(path) = end else {
        let Connected { client, caller } = glance(run, access, end).await?;
        return Ok(Source {
            caller,
            place: Place::of_server(client.endpoint().as_str()),
            images: Arc::new(GlanceEnd::new(client)),
        });
    };
    let mut archive = ImageArchive::open(path).map_err(|error| no_archive(run, error))?;
    if Snapshot::is_partial(path) {
        let path = path.display();
        let warning = format!("{path} is a snapshot that is not whole: images may be missing");
        run.console.warning(&warning);
    }
    match archive.contents()? {
        Contents::Nothing if !taken.allow_empty => {
            return Err(ArchiveError::Empty { path: path.clone() }.into());
        }
        contents => has_images_if_anything(contents, path)?,
    }
    if taken.metadata_only {
        archive = archive.metadata_only();
    }
    let unfinished = run.ctx.until_cancelled(archive.unfinished()).await;
    let unfinished = unfinished.map_err(|_| run.interrupted())?;
    for id in unfinished.map_err(|source| CliError::Unfinished { source })? {
        run.console.warning(&format!(
            "image {id} in {} is unfinished: it has data, but no metadata yet",
            path.display()
        ));
    }
    Ok(Source {
        caller: None,
        place: Place::of_directory(path),
        images: Arc::new(archive),
    })
}

/// A directory that is not there may be a cloud whose name was written without `cloud:`.
fn no_archive(run: &Run<'_>, error: ArchiveError) -> CliError {
    let cloud = match &error {
        ArchiveError::Missing { path } => cloud_called(&path.to_string_lossy(), &run.env),
        _ => None,
    };
    match cloud {
        Some(cloud) => CliError::NoArchiveButCloud { error, cloud },
        None => error.into(),
    }
}

fn has_images_if_anything(contents: Contents, path: &Path) -> Result<(), CliError> {
    match contents {
        Contents::Others | Contents::Namesakes => {
            let path = path.to_owned();
            Err(ArchiveError::NoArchive { path }.into())
        }
        Contents::Snapshots => {
            let all = Snapshots::open(path)?.all()?;
            let newest = all.into_iter().rfind(|snapshot| snapshot.is_whole);
            Err(CliError::Snapshots {
                path: path.to_owned(),
                newest: newest.map(|snapshot| snapshot.path),
            })
        }
        _ => Ok(()),
    }
}

/// The end that images come from.
pub(crate) struct Source {
    pub(crate) images: Arc<dyn ImageSource>,
    pub(crate) place: Place,
    pub(crate) caller: Option<Caller>,
}

impl Source {
    /// Returns the token, if it was got by signing in.
    pub(crate) fn details(&self) -> Option<&Details> {
        self.caller.as_ref().map(|caller| &caller.details)
    }

    /// Whatever is done between an end and itself would seem to go well.
    pub(crate) fn is_another_than(&self, target: &Target) -> Result<(), CliError> {
        if self.place == target.place {
            let name = target.name();
            return Err(CliError::SameEnd { name });
        }
        Ok(())
    }
}

/// The end that images go to.
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) end: TargetEnd,
    pub(crate) caller: Option<Caller>,
}

impl Target {
    /// Returns the token, if it was got by signing in.
    pub(crate) fn details(&self) -> Option<&Details> {
        self.caller.as_ref().map(|caller| &caller.details)
    }

    /// Returns its endpoint, or the path of its directory.
    pub(crate) fn name(&self) -> String {
        self.end.images.to_string()
    }
}

/// A server that was connected to ahead; nothing where the end is a directory.
pub(crate) type Reached = Option<Result<Connected, CliError>>;

/// Connects to the servers of targets, all at once.
pub(crate) async fn reach(run: &Run<'_>, access: &Access, ends: &[End]) -> Vec<Reached> {
    join_all(ends.iter().map(|end| async move {
        match end {
            End::Archive(_) => None,
            end => Some(glance(run, access, end).await),
        }
    }))
    .await
}

/// Opens the end that images go to, or that is only looked at.
pub(crate) async fn target(
    run: &Run<'_>,
    access: &Access,
    end: &End,
    reached: Reached,
    opening: Opening,
    id_map: Option<&Path>,
) -> Result<Target, CliError> {
    let End::Archive(path) = end else {
        let Connected { client, caller } = match reached {
            Some(reached) => reached?,
            None => glance(run, access, end).await?,
        };
        let tells = opening == Opening::DryRun;
        let stores = stores::chosen(run, &client, &access.stores, tells).await?;
        let open = |path| IdMapFile::open(path, client.endpoint().as_str());
        let id_map = id_map.map(open).transpose()?;
        let console = Arc::clone(&run.console);
        let id_map = id_map.map(|map| {
            map.telling(move |path| {
                let path = path.display();
                console.note(&format!(
                    "waiting for {path}, which another process has locked"
                ));
            })
        });
        let place = Place::of_server(client.endpoint().as_str());
        let mut end = TargetEnd::new(
            &run.ctx,
            Arc::new(GlanceEnd::new(client).with_stores(stores)),
        );
        end.id_map = id_map.map(|map| Arc::new(map) as _);
        return Ok(Target { place, end, caller });
    };
    if access.stores.is_given() {
        let path = path.display();
        let warning = format!("{path} is a directory, which has no stores to be chosen");
        run.console.warning(&warning);
    }
    let archive = match opening {
        Opening::Write => ImageArchive::create(path),
        Opening::Read | Opening::DryRun => ImageArchive::open(path),
    };
    let images: Arc<dyn ImageTarget> = match (archive, opening) {
        (Err(ArchiveError::Missing { .. }), Opening::DryRun) => {
            let path = path.clone();
            Arc::new(Nothing { path })
        }
        (archive, _) => {
            let archive = archive.map_err(|error| no_archive(run, error))?;
            match (archive.contents()?, opening) {
                (Contents::Others, Opening::Write | Opening::DryRun) => {
                    run.console.warning(&format!(
                        "{} holds other files and no image yet: images go beside them",
                        path.display()
                    ));
                }
                (contents, _) => has_images_if_anything(contents, path)?,
            }
            Arc::new(archive)
        }
    };
    // Every id can be used in a directory, so that it needs no map.
    Ok(Target {
        place: Place::of_directory(path),
        end: TargetEnd::new(&run.ctx, images),
        caller: None,
    })
}

/// Opens the directory in which images are proven before they are sent. Each
/// target has one of its own, since what has been sent there is removed from it:
/// the path itself may well lead to somebody's archive.
pub(crate) fn stage(path: &Path, target: &str) -> Result<Arc<dyn Stage>, CliError> {
    let name = target.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let path = path.join(format!(".stage-{name}"));
    Ok(Arc::new(ImageArchive::stage(path)?))
}

/// A Glance that answers.
pub(crate) struct Connected {
    pub(crate) client: GlanceClient,
    pub(crate) caller: Option<Caller>,
}

/// The user that we are at a cloud that we have signed in to.
pub(crate) struct Caller {
    pub(crate) details: Details,
    pub(crate) tokens: Arc<CloudTokens>,
}

/// Signs in, if the end is a cloud, and connects.
pub(crate) async fn glance(
    run: &Run<'_>,
    access: &Access,
    end: &End,
) -> Result<Connected, CliError> {
    let options = cloud_options(run, &access.args);
    let side = access.side;
    for option in without_effect(access, end) {
        run.console.warning(&format!(
            "--{option} has no effect at the {side}, which {}",
            match end {
                End::Glance(_) => "is named by its address, not as a cloud",
                _ => "is a cloud: it is signed in to",
            }
        ));
    }
    let work = async {
        let (config, caller) = match end {
            End::Glance(endpoint) => {
                let mut config = ClientConfig::new(endpoint.clone());
                config.tls = cloud::tls_from_env(&options, &run.env)?;
                warn_if_insecure(run, endpoint, &config.tls);
                let token = access.token.clone();
                config.tokens = token.map(|token| Arc::new(token) as _);
                (config, None)
            }
            End::Cloud(name, region) => {
                let cloud = Cloud::named(name, region.as_deref(), &options, &run.env)?;
                signed_in(run, cloud).await?
            }
            End::Environment => signed_in(run, Cloud::from_env(&options, &run.env)?).await?,
            End::Archive(path) => {
                let path = path.clone();
                return Err(CliError::NoServer { path });
            }
        };
        connect(run, access, config)
            .await
            .map(|client| Connected { client, caller })
    };
    let connected = run.ctx.until_cancelled(work).await;
    connected.map_err(|_| run.interrupted())?
}

async fn signed_in(
    run: &Run<'_>,
    cloud: Cloud,
) -> Result<(ClientConfig, Option<Caller>), CliError> {
    warn_if_insecure(run, cloud.name(), cloud.tls());
    let signed_in = cloud.sign_in().await?;
    let config = signed_in.config();
    let caller = Caller {
        details: signed_in.details,
        tokens: signed_in.tokens,
    };
    Ok((config, Some(caller)))
}

/// Before anything is sent that somebody might read.
pub(super) fn warn_if_insecure(run: &Run<'_>, whose: impl Display, tls: &Tls) {
    if tls.is_insecure() {
        run.console.warning(&format!(
            "{whose}: certificates are not verified: anybody on the way can read and change \
             passwords, tokens and images"
        ));
    }
}

async fn connect(
    run: &Run<'_>,
    access: &Access,
    mut config: ClientConfig,
) -> Result<GlanceClient, CliError> {
    let servers = &run.common.servers;
    config.api = access.args.api;
    config.lists_all_first = access.lists_all_first;
    config.stall_timeout = servers.stall_timeout();
    if let Some(timeout) = access.answer_timeout {
        config.answer_timeout = timeout;
    }
    config.listing_retries = servers.retries;
    config.retry_until = servers.retry_until(run.begun);
    config.limits = run.limits.clone();
    let endpoint = config.endpoint.clone();
    match GlanceClient::connect(&config).await {
        Ok(client) => {
            tracing::info!(%endpoint, version = %client.version(), "connected to the {}", access.side);
            Ok(client)
        }
        Err(source) => Err(CliError::Connect {
            endpoint: endpoint.to_string(),
            source,
        }),
    }
}

/// Lists what was given for this server alone and has no effect on one of its kind.
fn without_effect(access: &Access, end: &End) -> Vec<&'static str> {
    let is_cloud = matches!(end, End::Cloud(..) | End::Environment);
    let given = [
        (&access.args.region, false),
        (&access.args.interface, false),
        (&access.args.token, true),
    ];
    let idle = given
        .into_iter()
        .filter(|(_, on_cloud)| *on_cloud == is_cloud);
    idle.filter_map(|(given, _)| Some(given.as_ref()?.option))
        .collect()
}

pub(super) fn cloud_options(run: &Run<'_>, side: &SideArgs) -> CloudOptions {
    let servers = &run.common.servers;
    let value = |given: &Option<Given>| given.as_ref().map(|given| given.value.clone());
    CloudOptions {
        region: value(&side.region),
        interface: value(&side.interface),
        cacert: side.cacert.as_ref().or(servers.cacert.as_ref()).cloned(),
        insecure: side.insecure || servers.insecure,
        stall_timeout: Some(servers.stall_timeout()),
        retry_until: servers.retry_until(run.begun),
        clock: Some(SystemTime::now),
        learn_secret: Some(secrets::know),
    }
}
