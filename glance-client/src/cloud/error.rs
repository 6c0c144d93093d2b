//! Why a cloud cannot be used.

use std::io;
use std::path::PathBuf;

use crate::{InvalidPem, ParseEndpointError};

/// A cloud cannot be reached, or does not let us in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "a variant without a comment says the same as its message, and its fields are in it"
)]
pub enum AuthError {
    #[error("there is no cloud {cloud:?} in {}", list_of_paths(files))]
    UnknownCloud {
        cloud: String,
        known: Vec<String>,
        files: Vec<PathBuf>,
    },
    #[error(
        "cloud {cloud:?} has the profile {profile:?}, which is not in {}",
        list_of_paths(files)
    )]
    UnknownProfile {
        cloud: String,
        profile: String,
        files: Vec<PathBuf>,
    },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, line {line}, column {column}: {problem}", path.display())]
    Syntax {
        path: PathBuf,
        line: u64,
        column: u64,
        problem: String,
    },
    #[error("{cloud}: {problem}")]
    Setting { cloud: String, problem: String },
    #[error("{cloud}: cannot use {}", path.display())]
    Pem {
        cloud: String,
        path: PathBuf,
        source: InvalidPem,
    },
    #[error("{cloud} has no region {region:?} for images")]
    UnknownRegion {
        cloud: String,
        region: String,
        known: Vec<String>,
    },
    #[error("{cloud} has several regions, and none is named")]
    AmbiguousRegion { cloud: String, known: Vec<String> },
    #[error("{cloud} has no image service in its catalog")]
    NoImageService { cloud: String },
    #[error("{cloud} has no {interface:?} endpoint of the image service")]
    NoInterface {
        cloud: String,
        interface: String,
        known: Vec<String>,
    },
    #[error("{cloud}: the token is not for a project, and so there is no catalog")]
    NoScope { cloud: String },
    #[error("{cloud}: the endpoint of the image service cannot be used")]
    Endpoint {
        cloud: String,
        source: ParseEndpointError,
    },
    /// Keystone knows the caller not, or does not let it in.
    #[error(
        "{cloud}: Keystone at {url} refuses to sign in with {methods}: {status}{}",
        said(message)
    )]
    Refused {
        cloud: String,
        url: String,
        methods: String,
        status: u16,
        message: Option<String>,
    },
    #[error(
        "{cloud}: the token is expired or not valid, and there are no credentials for another one"
    )]
    TokenExpired { cloud: String },
    /// The credentials are right as far as they go.
    #[error("{cloud}: Keystone at {url} wants more than {methods}: {wanted}")]
    MoreWanted {
        cloud: String,
        url: String,
        methods: String,
        wanted: String,
    },
    /// The request makes no sense to Keystone.
    #[error(
        "{cloud}: Keystone at {url} does not take the sign-in: {status}{}",
        said(message)
    )]
    NotTaken {
        cloud: String,
        url: String,
        status: u16,
        message: Option<String>,
    },
    /// Keystone is not there, or fails.
    #[error("{cloud}: Keystone at {url} fails: {status}{}", said(message))]
    Failed {
        cloud: String,
        url: String,
        status: u16,
        message: Option<String>,
    },
    #[error("{cloud}: Keystone at {url} cannot be reached{}", said(proxy))]
    Unreachable {
        cloud: String,
        url: String,
        /// What a proxy has to do with it.
        proxy: Option<String>,
        source: reqwest::Error,
    },
    #[error("{cloud}: what Keystone at {url} answers cannot be used: {problem}")]
    Answer {
        cloud: String,
        url: String,
        problem: String,
    },
    #[error("{cloud}: what answers at {url} is no Keystone: {problem}")]
    NotKeystone {
        cloud: String,
        url: String,
        problem: String,
    },
}

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthErrorKind {
    /// What is asked for is not there or makes no sense: a name, a file, a setting.
    Usage,
    /// The credentials are not taken.
    Denied,
    /// Keystone fails, or is not there. It may work later.
    Unavailable,
}

impl AuthError {
    /// Returns what it means for whoever has asked.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        match self {
            Self::Refused { .. } | Self::MoreWanted { .. } | Self::TokenExpired { .. } => {
                AuthErrorKind::Denied
            }
            Self::Failed { .. } | Self::Unreachable { .. } => AuthErrorKind::Unavailable,
            _ => AuthErrorKind::Usage,
        }
    }

    /// Returns what the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownCloud { known, .. } if known.is_empty() => {
                "clouds are described in clouds.yaml, which OS_CLIENT_CONFIG_FILE can name".to_owned()
            }
            Self::UnknownCloud { known, .. } => format!("known are {}", known.join(", ")),
            Self::UnknownProfile { .. } => {
                "profiles are read from clouds-public.yaml alone; write the auth_url into the entry \
                 of the cloud"
                    .to_owned()
            }
            Self::UnknownRegion { known, .. } => format!("known are {}", known.join(", ")),
            Self::AmbiguousRegion { cloud, known } => {
                // For a cloud that is named, the variable does not count.
                let place = match cloud.starts_with("cloud:") {
                    true => format!("as {cloud}/REGION"),
                    false => "in OS_REGION_NAME".to_owned(),
                };
                format!("name one {place}; there are {}", known.join(", "))
            }
            Self::NoInterface { known, .. } => format!("there are {}", known.join(", ")),
            Self::NoScope { .. } => {
                "name a project (project_name or project_id, OS_PROJECT_NAME or OS_PROJECT_ID), or a \
                 trust (trust_id, OS_TRUST_ID)"
                    .to_owned()
            }
            Self::NoImageService { .. } => {
                "`openstack catalog list` shows what there is; image_endpoint_override names an \
                 endpoint that is not in it"
                    .to_owned()
            }
            Self::Refused {
                methods,
                status,
                message,
                ..
            } => refused(methods, *status, message.as_deref())?.to_owned(),
            Self::MoreWanted { .. } => {
                "auth_type: v3multifactor signs in with all that auth_methods lists, such as \
                 [v3password, v3totp]"
                    .to_owned()
            }
            Self::TokenExpired { .. } => {
                "`openstack token issue` gives a new token; with a password or an application \
                 credential, tokens are renewed as needed"
                    .to_owned()
            }
            Self::Failed { .. } => "Keystone was asked several times; try again later".to_owned(),
            Self::Unreachable { source, proxy, .. } => hint_of_connection(source)
                .or(proxy.as_ref().map(|_| HINT_OF_PROXY))
                .unwrap_or("is auth_url right, and can it be reached from here?")
                .to_owned(),
            Self::NotKeystone { .. } => {
                "auth_url has to lead to Keystone v3, such as https://HOST:5000/v3".to_owned()
            }
            _ => return None,
        })
    }
}

/// What can be done where a proxy is in between.
pub const HINT_OF_PROXY: &str =
    "is the proxy right, and running? NO_PROXY lists the hosts that are reached without one";

fn refused(methods: &str, status: u16, message: Option<&str>) -> Option<&'static str> {
    // Where Keystone says what it is, there is nothing to guess.
    let says = |words: &[&str]| {
        message.is_some_and(|message| words.iter().any(|word| message.contains(word)))
    };
    if says(&["password is expired"]) {
        return Some("`openstack user password set` gives the user a new one");
    }
    if says(&["locked", "disabled", "unsupported method", "insecure_debug"]) {
        return None;
    }
    Some(match (methods, status) {
        (_, 403) => "the credentials are right, and Keystone does not let them do this",
        ("application_credential", _) => {
            "the secret is wrong, or the application credential is expired, deleted or another \
             one: Keystone does not say which (`openstack application credential list`)"
        }
        ("token", _) => "the token is expired, revoked or not of this cloud",
        ("totp", _) => "a passcode is good for one time, and for half a minute or so",
        (methods, _) if methods.contains("totp") => {
            "a passcode is good for one time, and for half a minute or so; or the user, its \
             domain, the password or the project is wrong: Keystone does not say which"
        }
        _ => {
            "the user, its domain, the password or the project is wrong, or the user has no role \
             in the project: Keystone does not say which"
        }
    })
}

/// Returns what can be done about a TLS connection that failed.
#[must_use]
pub fn hint_of_connection(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let has = |part: &str| text.contains(part);
        if has("UnknownIssuer") || has("CaUsedAsEndEntity") || has("self-signed") {
            return Some(
                "the server's certificate is of no CA that is known here; give its CA in --cacert, \
                 in cacert of the cloud's entry, or, for env: and addresses, in OS_CACERT",
            );
        }
        if has("Expired") || has("certificate expired") {
            return Some("the server's certificate has expired");
        }
        if has("NotValidForName") || has("not valid for name") {
            return Some("the server's certificate is for another host name than that of the URL");
        }
        if has("HandshakeFailure") {
            return Some(
                "the server has no TLS cipher or version in common with us (TLS 1.2 with ECDHE and \
                 AEAD, or TLS 1.3), or it wants a client certificate: cert and key, or OS_CERT and \
                 OS_KEY",
            );
        }
        if has("CertificateRequired") {
            return Some(
                "the server wants a client certificate: cert and key, or OS_CERT and OS_KEY",
            );
        }
        if has("InvalidContentType") || has("corrupt message") {
            return Some("the server does not speak TLS there; is it http://?");
        }
        if has("handshake eof") {
            return Some(
                "the server breaks off the TLS handshake; if it does not speak TLS, it is http://",
            );
        }
        next = error.source();
    }
    None
}

fn said(message: &Option<String>) -> String {
    message
        .as_ref()
        .map_or_else(String::new, |text| format!(": {text}"))
}

fn list_of_paths(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
