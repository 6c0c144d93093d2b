//! Advice on clouds, Keystone and TLS.

use std::error::Error;
use std::path::Path;

use glance_client::TlsFailure;
use glance_client::cloud::AuthError;

use crate::near::near;

/// The most names that are all told.
const FEW_NAMES: usize = 6;
/// The largest number of names that are suggested.
const MOST_NEAR: usize = 3;
pub(super) const PROXY: &str =
    "is the proxy right, and running? NO_PROXY lists the hosts that are reached without one";

/// A clouds.yaml, as far as all clouds have it.
const MINIMAL: &str = "\
clouds:
  NAME:
    region_name: REGION
    auth:
      auth_url: https://KEYSTONE:5000/v3
      username: USER
      password: PASSWORD
      project_name: PROJECT
      user_domain_name: Default
      project_domain_name: Default";

/// Returns what the user can do about a cloud that cannot be used.
pub(super) fn hint_of_cloud(error: &AuthError) -> Option<String> {
    Some(match error {
        AuthError::UnknownCloud { cloud, .. } if Path::new(cloud).is_dir() => {
            format!("there is a directory of that name: write dir:{cloud}")
        }
        AuthError::UnknownCloud {
            cloud,
            known,
            files,
        } if known.is_empty() && !files.iter().any(|file| file.exists()) => {
            let minimal = MINIMAL.replace("NAME", cloud);
            format!(
                "write one at any of these places, or name it in OS_CLIENT_CONFIG_FILE. It has at the \
                 least:\n{minimal}"
            )
        }
        AuthError::UnknownCloud { known, .. } if known.is_empty() => {
            "clouds are described in clouds.yaml, which OS_CLIENT_CONFIG_FILE can name".to_owned()
        }
        AuthError::UnknownCloud { cloud, known, .. } => told("known are", cloud, known),
        AuthError::UnknownProfile { .. } => {
            "profiles are read from clouds-public.yaml alone; write the auth_url into the entry \
             of the cloud"
                .to_owned()
        }
        AuthError::UnknownRegion { region, known, .. } => told("known are", region, known),
        AuthError::AmbiguousRegion { cloud, known } => {
            // For a cloud that is named, the variable does not count.
            let place = match cloud.starts_with("cloud:") {
                true => format!("as {cloud}/REGION"),
                false => "in OS_REGION_NAME".to_owned(),
            };
            format!("name one {place}; {}", told("there are", "", known))
        }
        AuthError::NoInterface {
            interface, known, ..
        } => told("there are", interface, known),
        AuthError::NoScope { .. } => {
            "name a project (project_name or project_id, OS_PROJECT_NAME or OS_PROJECT_ID), or a \
             trust (trust_id, OS_TRUST_ID)"
                .to_owned()
        }
        AuthError::NoImageService { .. } => {
            "`openstack catalog list` shows what there is; image_endpoint_override names an \
             endpoint that is not in it"
                .to_owned()
        }
        AuthError::Refused {
            methods,
            status,
            message,
            ..
        } => refused(methods, *status, message.as_deref())?.to_owned(),
        AuthError::MoreWanted { .. } => {
            "auth_type: v3multifactor signs in with all that auth_methods lists, such as \
             [v3password, v3totp]"
                .to_owned()
        }
        AuthError::TokenExpired { .. } => {
            "`openstack token issue` gives a new token; with a password or an application \
             credential, tokens are renewed as needed"
                .to_owned()
        }
        AuthError::Failed { .. } => "Keystone was asked several times; try again later".to_owned(),
        AuthError::Unreachable { source, proxy, .. } => hint_of_connection(source)
            .or(proxy.as_ref().map(|_| PROXY))
            .unwrap_or("is auth_url right, and can it be reached from here?")
            .to_owned(),
        AuthError::NotKeystone { .. } => {
            "auth_url has to lead to Keystone v3, such as https://HOST:5000/v3".to_owned()
        }
        _ => return None,
    })
}

/// Tells the names that there are; of many, their number, and those that may have been meant.
fn told(there_are: &str, wrong: &str, known: &[String]) -> String {
    if known.len() <= FEW_NAMES {
        return format!("{there_are} {}", known.join(", "));
    }
    let (names, count) = (known.iter().map(String::as_str), known.len());
    match near(wrong, names.clone(), MOST_NEAR) {
        near if near.is_empty() => {
            let first: Vec<&str> = names.take(MOST_NEAR).collect();
            format!("{there_are} {count}, such as {}", first.join(", "))
        }
        near => format!("near ones, of {count}, are {}", near.join(", ")),
    }
}

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

/// Returns what the user can do about a TLS connection that failed.
pub(super) fn hint_of_connection(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(match TlsFailure::find(error)? {
        TlsFailure::UnknownIssuer => {
            "the server's certificate is of no CA that is known here; give its CA in --cacert, in \
             cacert of the cloud's entry, or, for env: and addresses, in OS_CACERT"
        }
        TlsFailure::Expired => "the server's certificate has expired",
        TlsFailure::OtherName => {
            "the server's certificate is for another host name than that of the URL"
        }
        TlsFailure::NothingInCommon => {
            "the server has no TLS cipher or version in common with us (TLS 1.2 with ECDHE and \
             AEAD, or TLS 1.3), or it wants a client certificate: cert and key, or OS_CERT and \
             OS_KEY"
        }
        TlsFailure::CertificateRequired => {
            "the server wants a client certificate: cert and key, or OS_CERT and OS_KEY"
        }
        TlsFailure::NotTls => "the server does not speak TLS there; is it http://?",
        TlsFailure::BrokenOff => {
            "the server breaks off the TLS handshake; if it does not speak TLS, it is http://"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(methods: &str, status: u16, message: Option<&str>) -> AuthError {
        AuthError::Refused {
            cloud: "cloud:c".to_owned(),
            url: "http://k".to_owned(),
            methods: methods.to_owned(),
            status,
            message: message.map(str::to_owned),
        }
    }

    #[test]
    fn what_can_be_done_is_said_of_each_refusal_of_keystone() {
        let credential = "application_credential";
        for (methods, status, message, hint) in [
            ("password", 401, None, Some("the user, its domain")),
            (credential, 401, None, Some("the secret is wrong")),
            (credential, 404, None, Some("the secret is wrong")),
            ("password", 403, None, Some("the credentials are right")),
            ("totp", 401, None, Some("a passcode is good")),
            ("password and totp", 401, None, Some("a passcode is good")),
            (
                "password",
                401,
                Some("The password is expired"),
                Some("`openstack user"),
            ),
            ("password", 401, Some("The account is locked"), None),
        ] {
            let found = hint_of_cloud(&refused(methods, status, message));
            let is_it = match (&found, hint) {
                (Some(found), Some(hint)) => found.starts_with(hint),
                (found, hint) => found.is_none() && hint.is_none(),
            };
            assert!(is_it, "{methods} {status}: {found:?}");
        }
    }

    #[test]
    fn what_there_is_instead_is_said() {
        let cloud = || "cloud:c".to_owned();
        let known = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        for (error, hint) in [
            (
                AuthError::AmbiguousRegion {
                    cloud: cloud(),
                    known: known(&["RegionOne", "RegionTwo"]),
                },
                "name one as cloud:c/REGION; there are RegionOne, RegionTwo",
            ),
            (
                AuthError::AmbiguousRegion {
                    cloud: "env:".to_owned(),
                    known: known(&["RegionOne", "RegionTwo"]),
                },
                "name one in OS_REGION_NAME; there are RegionOne, RegionTwo",
            ),
            (
                AuthError::UnknownRegion {
                    cloud: cloud(),
                    region: "Elsewhere".to_owned(),
                    known: known(&["RegionOne", "RegionTwo"]),
                },
                "known are RegionOne, RegionTwo",
            ),
            (
                AuthError::NoInterface {
                    cloud: cloud(),
                    interface: "admin".to_owned(),
                    known: known(&["public"]),
                },
                "there are public",
            ),
            (
                AuthError::UnknownCloud {
                    cloud: cloud(),
                    known: known(&["a", "b"]),
                    files: Vec::new(),
                },
                "known are a, b",
            ),
            (
                AuthError::UnknownCloud {
                    cloud: cloud(),
                    known: Vec::new(),
                    files: vec!["/".into()],
                },
                "clouds are described",
            ),
            (
                AuthError::UnknownCloud {
                    cloud: cloud(),
                    known: Vec::new(),
                    files: vec!["/nonexistent/clouds.yaml".into()],
                },
                "write one at any of these places",
            ),
            (
                AuthError::UnknownProfile {
                    cloud: cloud(),
                    profile: "p".to_owned(),
                    files: Vec::new(),
                },
                "profiles are",
            ),
            (
                AuthError::TokenExpired { cloud: cloud() },
                "`openstack token issue`",
            ),
            (
                AuthError::NotKeystone {
                    cloud: cloud(),
                    url: "http://k".to_owned(),
                    problem: "it redirects".to_owned(),
                },
                "auth_url has to lead",
            ),
        ] {
            let found = hint_of_cloud(&error).unwrap();
            assert!(found.starts_with(hint), "{found}");
        }
    }

    #[test]
    fn of_many_names_those_that_may_have_been_meant_are_told() {
        let names: Vec<String> = (1..44).map(|number| format!("cloud-{number}")).collect();
        let told = |wrong| told("known are", wrong, &names);
        assert_eq!(
            told("clod-12"),
            "near ones, of 43, are cloud-12, cloud-21, cloud-1"
        );
        assert_eq!(
            told("prod"),
            "known are 43, such as cloud-1, cloud-2, cloud-3"
        );
    }

    #[test]
    fn a_server_that_does_not_speak_tls_is_known_by_the_words_of_the_library() {
        let error = std::io::Error::other("received corrupt message of type InvalidContentType");
        assert!(
            hint_of_connection(&error)
                .unwrap()
                .contains("does not speak TLS")
        );
        assert_eq!(hint_of_connection(&std::io::Error::other("refused")), None);
    }
}
