//! Finds and reads clouds.yaml, secure.yaml and clouds-public.yaml, in the places
//! and the precedence of openstacksdk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::credentials;
use super::document::{Broken, Content, Node};
use super::entry::{Layers, Settings, spelt};
use super::env::Environment;
use super::error::AuthError;

/// The entry of a cloud in the files.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) layers: Layers,
    /// The name of its profile, if no file has it.
    pub(super) unknown_profile: Option<String>,
}

/// Reads the entry of a cloud: that of secure.yaml over that of clouds.yaml, and under it its
/// profile. Entries of other clouds may be whatever they like.
///
/// # Errors
///
/// [`AuthError::UnknownCloud`], which names the files looked at;
/// [`AuthError::Syntax`] with line and column.
pub(super) fn entry_of(name: &str, env: &Environment) -> Result<Found, AuthError> {
    let places = places(env, "clouds", "OS_CLIENT_CONFIG_FILE");
    let clouds = first_of(&places)?;
    let secure = first_of(&self::places(env, "secure", "OS_CLIENT_SECURE_FILE"))?;
    let mut entry = None::<Settings>;
    for file in [&clouds, &secure].into_iter().flatten() {
        if let Some(over) = file.entry(name)? {
            match &mut entry {
                Some(entry) => entry.merge(over),
                None => entry = Some(over),
            }
        }
    }
    let Some(entry) = entry else {
        return Err(AuthError::UnknownCloud {
            cloud: name.to_owned(),
            known: clouds.as_ref().map(File::sorted_names).unwrap_or_default(),
            files: clouds.map_or(places, |file| vec![file.path]),
        });
    };
    with_profile(entry, clouds.as_ref(), env)
}

/// Returns the names of all clouds, as far as they can be read.
pub(super) fn names(env: &Environment) -> Vec<String> {
    let clouds = first_of(&places(env, "clouds", "OS_CLIENT_CONFIG_FILE"));
    clouds
        .ok()
        .flatten()
        .map(|file| file.sorted_names())
        .unwrap_or_default()
}

/// Puts under an entry the profile that it names: that of clouds-public.yaml, or of the file of
/// the entry itself.
pub(super) fn with_profile(
    entry: Settings,
    here: Option<&File>,
    env: &Environment,
) -> Result<Found, AuthError> {
    let named = entry.text("profile").or_else(|| entry.text("cloud"));
    let Some(name) = named.map(|name| name.expose().to_owned()) else {
        return Ok(Found {
            layers: Layers {
                entry,
                ..Layers::default()
            },
            unknown_profile: None,
        });
    };
    let public = first_of(&profile_places(env))?;
    let mut profile = None;
    for file in [public.as_ref(), here].into_iter().flatten() {
        if profile.is_none() {
            profile = file.profile(&name)?;
        }
    }
    Ok(Found {
        unknown_profile: profile.is_none().then_some(name),
        layers: Layers {
            profile: profile.unwrap_or_default(),
            entry,
        },
    })
}

/// Returns the places where profiles are looked for.
pub(super) fn profile_places(env: &Environment) -> Vec<PathBuf> {
    places(env, "clouds-public", "OS_CLIENT_VENDOR_FILE")
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    root: Node,
}

impl File {
    fn sorted_names(&self) -> Vec<String> {
        let clouds = self.root.get("clouds").map(|clouds| &clouds.content);
        let mut names = match clouds {
            Some(Content::Map(clouds)) => clouds.iter().map(|(name, _)| name.clone()).collect(),
            _ => Vec::new(),
        };
        names.sort();
        names
    }

    fn entry(&self, name: &str) -> Result<Option<Settings>, AuthError> {
        for map in [Some(&self.root), self.root.get("clouds")]
            .into_iter()
            .flatten()
        {
            if !matches!(map.content, Content::Map(_) | Content::Null) {
                return Err(self.wrong(map, "expected clouds by their names"));
            }
        }
        let entry = self.root.get("clouds").and_then(|clouds| clouds.get(name));
        entry.map(|entry| self.checked(entry)).transpose()
    }

    fn profile(&self, name: &str) -> Result<Option<Settings>, AuthError> {
        let profiles = self.root.get("public-clouds");
        let profile = profiles.and_then(|profiles| profiles.get(name));
        profile.map(|profile| self.checked(profile)).transpose()
    }

    /// Takes the settings of a cloud, if those that are used are what they have to be.
    fn checked(&self, entry: &Node) -> Result<Settings, AuthError> {
        let no_settings = "expected the settings of a cloud";
        let settings = match &entry.content {
            Content::Null => return Ok(Settings::default()),
            Content::Map(settings) => settings,
            _ => return Err(self.wrong(entry, no_settings)),
        };
        for (name, value) in settings {
            match (spelt(name).as_str(), &value.content) {
                ("auth", Content::Map(auth)) => self.check_texts(auth)?,
                ("auth", Content::Null) => {}
                ("auth", _) => return Err(self.wrong(value, no_settings)),
                ("regions", Content::List(regions)) => {
                    for region in regions {
                        self.check_region(region)?;
                    }
                }
                _ => {}
            }
        }
        self.check_texts(settings)?;
        Ok(entry.clone().into())
    }

    fn check_texts(&self, settings: &[(String, Node)]) -> Result<(), AuthError> {
        for (name, value) in settings {
            let is_used = credentials::TEXTS.contains(&&*spelt(name));
            if is_used && !matches!(value.content, Content::Text(_) | Content::Null) {
                return Err(self.wrong(value, "expected a text"));
            }
        }
        Ok(())
    }

    fn check_region(&self, region: &Node) -> Result<(), AuthError> {
        match &region.content {
            Content::Text(_) => Ok(()),
            Content::Map(_) if is_text(region.get("name")) => match region.get("values") {
                Some(values) => self.checked(values).map(drop),
                None => Ok(()),
            },
            _ => Err(self.wrong(
                region,
                "expected the name of a region, or its name and values",
            )),
        }
    }

    fn wrong(&self, node: &Node, problem: &str) -> AuthError {
        let (line, column) = node.place;
        AuthError::Syntax {
            path: self.path.clone(),
            line,
            column,
            problem: problem.to_owned(),
        }
    }
}

fn is_text(node: Option<&Node>) -> bool {
    matches!(
        node,
        Some(Node {
            content: Content::Text(_),
            ..
        })
    )
}

/// Returns the places of a file; the first one that is there counts.
fn places(env: &Environment, name: &str, variable: &str) -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::from(".")];
    directories.extend(
        env.path("XDG_CONFIG_HOME")
            .map(|home| home.join("openstack")),
    );
    // A program in a snap has a home of its own.
    for home in ["HOME", "SNAP_REAL_HOME"] {
        directories.extend(env.path(home).map(|home| home.join(".config/openstack")));
    }
    let site = env.get("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg").split(':');
    directories.extend(site.map(|directory| Path::new(directory).join("openstack")));
    directories.push(PathBuf::from("/etc/openstack"));
    directories.dedup();
    let files = directories.iter().flat_map(|directory| {
        ["yaml", "yml", "json"].map(|suffix| directory.join(format!("{name}.{suffix}")))
    });
    env.path(variable).into_iter().chain(files).collect()
}

fn first_of(places: &[PathBuf]) -> Result<Option<File>, AuthError> {
    for path in places {
        match fs::read_to_string(path) {
            Ok(text) => {
                let path = path.clone();
                return match Node::parse(&text) {
                    Ok(root) => Ok(Some(File { path, root })),
                    Err(Broken {
                        place: (line, column),
                        problem,
                    }) => Err(AuthError::Syntax {
                        path,
                        line,
                        column,
                        problem,
                    }),
                };
            }
            Err(error) if is_absent(&error) => {}
            // Somebody else's file in the working directory is no reason to give up.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!("{} is left out: {error}", path.display());
            }
            Err(source) => {
                let path = path.clone();
                return Err(AuthError::Read { path, source });
            }
        }
    }
    Ok(None)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}
