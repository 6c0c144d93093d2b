//! Metadata definitions at an end: of a server, or in a directory.

use std::path::PathBuf;

use glance_client::GlanceClient;
use glance_model::Namespace;
use replicator_fs::MetadefDirectory;

use super::connect::{Access, Opening, glance};
use super::location::End;
use super::place::Place;
use crate::error::CliError;
use crate::run::Run;

/// The metadata definitions of an end.
pub(crate) struct Definitions {
    pub(crate) place: Place,
    /// The endpoint, or the path of the directory.
    pub(crate) name: String,
    at: At,
}

enum At {
    Server(Box<GlanceClient>),
    Directory(MetadefDirectory),
    /// A directory that a dry run does not create.
    Nowhere,
}

/// A namespace that is listed.
pub(crate) enum Listed {
    Named(String),
    File(PathBuf),
}

impl Listed {
    /// Its name, or the file that it is in.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

impl Definitions {
    pub(crate) async fn open(
        run: &Run<'_>,
        access: &Access,
        end: &End,
        opening: Opening,
    ) -> Result<Self, CliError> {
        let End::Archive(path) = end else {
            let client = glance(run, access, end).await?.client;
            return Ok(Self {
                place: Place::of_server(client.endpoint().as_str()),
                name: client.endpoint().to_string(),
                at: At::Server(Box::new(client)),
            });
        };
        Ok(Self {
            place: Place::of_directory(path),
            name: path.display().to_string(),
            at: match opening {
                Opening::Write => At::Directory(MetadefDirectory::create(path)?),
                Opening::DryRun if !path.exists() => At::Nowhere,
                Opening::Read | Opening::DryRun => At::Directory(MetadefDirectory::open(path)?),
            },
        })
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>, CliError> {
        Ok(match &self.at {
            At::Server(client) => {
                let names = client.metadef_namespaces().await?;
                names.into_iter().map(Listed::Named).collect()
            }
            At::Directory(directory) => {
                let files = directory.files()?;
                files.into_iter().map(Listed::File).collect()
            }
            At::Nowhere => Vec::new(),
        })
    }

    /// Reads a namespace that was listed; `None` if it is gone.
    pub(crate) async fn read(&self, listed: &Listed) -> Result<Option<Namespace>, CliError> {
        match listed {
            Listed::Named(name) => self.find(name).await,
            Listed::File(path) => Ok(Some(MetadefDirectory::read(path)?)),
        }
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<Namespace>, CliError> {
        Ok(match &self.at {
            At::Server(client) => client.metadef_namespace(name).await?,
            At::Directory(directory) => directory.find(name)?,
            At::Nowhere => None,
        })
    }

    /// Makes a namespace, or what `found` lacks of it. A file is written anew.
    pub(crate) async fn write(
        &self,
        wanted: &Namespace,
        found: Option<Namespace>,
    ) -> Result<(), CliError> {
        let client = match &self.at {
            At::Server(client) => client,
            At::Directory(directory) => return Ok(directory.write(wanted)?),
            At::Nowhere => return Ok(()),
        };
        let name = wanted.name();
        let found = match found {
            Some(found) => found,
            None => {
                let Err(error) = client.create_metadef_namespace(wanted).await else {
                    return Ok(());
                };
                // It may have left half of it, or somebody else was faster.
                match client.metadef_namespace(name).await {
                    Ok(Some(left)) => left,
                    _ => return Err(error.into()),
                }
            }
        };
        for change in wanted.lacking(&found) {
            client.change_metadef_namespace(name, &change).await?;
        }
        Ok(())
    }
}
