//! Finds and reads clouds.yaml, secure.yaml and clouds-public.yaml, in the places
//! and the precedence of openstacksdk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::entry::Entry;
use super::env::Environment;
use super::error::AuthError;

/// A file as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Clouds {
    #[serde(default)]
    clouds: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(default, rename = "public-clouds")]
    profiles: Option<BTreeMap<String, Option<Entry>>>,
}

/// Reads the entry of a cloud: that of secure.yaml over that of clouds.yaml over
/// its profile.
///
/// # Errors
///
/// [`AuthError::UnknownCloud`], which names the files looked at;
/// [`AuthError::Syntax`] with line and column.
pub(super) fn entry_of(name: &str, env: &Environment) -> Result<Entry, AuthError> {
    let places = places(env, "clouds", "OS_CLIENT_CONFIG_FILE");
    let (path, file) = first_of(&places)?;
    let mut clouds = file.clouds.unwrap_or_default();
    let (_, secure) = first_of(&self::places(env, "secure", "OS_CLIENT_SECURE_FILE"))?;
    let mut secure = secure.clouds.unwrap_or_default();
    let entries = [secure.remove(name), clouds.remove(name)];
    if entries.iter().all(Option::is_none) {
        return Err(AuthError::UnknownCloud {
            cloud: name.to_owned(),
            known: clouds.into_keys().collect(),
            files: path.map_or(places, |path| vec![path]),
        });
    }
    let [over, under] = entries.map(|entry| entry.flatten().unwrap_or_default());
    let entry = over.over(under);
    match entry.text("profile").or_else(|| entry.text("cloud")) {
        Some(profile) => {
            let under = profile_of(name, profile, file.profiles.unwrap_or_default(), env)?;
            Ok(entry.over(under))
        }
        None => Ok(entry),
    }
}

fn profile_of(
    cloud: &str,
    profile: &str,
    mut here: BTreeMap<String, Option<Entry>>,
    env: &Environment,
) -> Result<Entry, AuthError> {
    let places = places(env, "clouds-public", "OS_CLIENT_VENDOR_FILE");
    let (_, file) = first_of(&places)?;
    let mut profiles = file.profiles.unwrap_or_default();
    let found = profiles.remove(profile).or_else(|| here.remove(profile));
    let found = found.ok_or_else(|| AuthError::UnknownProfile {
        cloud: cloud.to_owned(),
        profile: profile.to_owned(),
        files: places,
    })?;
    Ok(found.unwrap_or_default())
}

/// Where a file may be; the first one that is there counts.
fn places(env: &Environment, name: &str, variable: &str) -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::from(".")];
    directories.extend(
        env.path("XDG_CONFIG_HOME")
            .map(|home| home.join("openstack")),
    );
    directories.extend(env.path("HOME").map(|home| home.join(".config/openstack")));
    let site = env.get("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg").split(':');
    directories.extend(site.map(|directory| Path::new(directory).join("openstack")));
    directories.push(PathBuf::from("/etc/openstack"));
    directories.dedup();
    let files = directories.iter().flat_map(|directory| {
        ["yaml", "yml", "json"].map(|suffix| directory.join(format!("{name}.{suffix}")))
    });
    env.path(variable).into_iter().chain(files).collect()
}

fn first_of(places: &[PathBuf]) -> Result<(Option<PathBuf>, Clouds), AuthError> {
    for path in places {
        match fs::read_to_string(path) {
            Ok(text) => return Ok((Some(path.clone()), parse(path, &text)?)),
            Err(error) if is_absent(&error) => {}
            Err(source) => {
                let path = path.clone();
                return Err(AuthError::Read { path, source });
            }
        }
    }
    Ok((None, Clouds::default()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn parse(path: &Path, text: &str) -> Result<Clouds, AuthError> {
    // As it is in Python: the last of two entries of one name counts.
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let parsed: Result<Option<Clouds>, _> = serde_saphyr::from_str_with_options(text, options);
    let clouds = parsed.map_err(|error| {
        let at = error.location();
        AuthError::Syntax {
            path: path.to_owned(),
            line: at.map_or(1, |at| at.line()),
            column: at.map_or(1, |at| at.column()),
            problem: problem(&error),
        }
    })?;
    Ok(clouds.unwrap_or_default())
}

/// What is wrong, without any text of the file, which may be a password.
fn problem(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    let problem = match error {
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => msg.clone(),
        Error::Unexpected { expected, .. } => format!("expected {expected}"),
        Error::Eof { .. } => "it ends too early".to_owned(),
        _ => String::new(),
    };
    // Signs of YAML's own may stand in quotes; all else may be of the file.
    let signs = [",", "}", "]", ":", "-", "?", "{", "["].map(|sign| format!("'{sign}'"));
    let rest = signs
        .iter()
        .fold(problem.clone(), |rest, sign| rest.replace(sign, ""));
    if rest.is_empty() || rest.contains(['"', '\'', '`']) {
        return "this is no valid YAML, or not what belongs here".to_owned();
    }
    problem
}
