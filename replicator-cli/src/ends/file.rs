//! The file that an image is made of: on this machine, or on a web server.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use glance_client::RemoteFile;
use glance_client::cloud;
use replicator_core::ImageFile;
use replicator_fs::LocalFile;

use super::connect::{cloud_options, warn_if_insecure};
use super::place::Place;
use crate::args::SideArgs;
use crate::error::CliError;
use crate::run::Run;
use crate::secrets;

/// A file that an image is made of.
pub(crate) struct Named {
    /// Its name, without its directory, where it has one.
    pub(crate) name: Option<String>,
    pub(crate) place: Place,
    pub(crate) file: Arc<dyn ImageFile>,
}

/// Takes a path, or a URL of HTTP. Nothing is read of it yet.
pub(crate) fn file(run: &Run<'_>, text: &OsStr) -> Result<Named, CliError> {
    let Some(url) = text.to_str().filter(|text| is_url(text)) else {
        let path = Path::new(text);
        let name = path.file_name();
        return Ok(Named {
            name: name.map(|name| name.to_string_lossy().into_owned()),
            place: Place::of_directory(path),
            file: Arc::new(LocalFile::new(path)?),
        });
    };
    // The query may be a signature, with which anybody can read the file.
    if let Some((_, query)) = url.split_once('?') {
        secrets::know(query);
    }
    let mut file = RemoteFile::new(url).map_err(|error| CliError::End {
        problem: error.to_string(),
        hint: None,
    })?;
    let servers = &run.common.servers;
    let tls = cloud::tls_from_env(&cloud_options(run, &SideArgs::default()), &run.env)?;
    warn_if_insecure(run, &file, &tls);
    let config = file.config_mut();
    config.tls = tls;
    config.stall_timeout = servers.stall_timeout();
    config.limits = run.limits.clone();
    Ok(Named {
        name: file.name().map(str::to_owned),
        place: Place::of_server(&file.to_string()),
        file: Arc::new(file),
    })
}

fn is_url(text: &str) -> bool {
    let (scheme, _) = text.split_once("://").unwrap_or_default();
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}
