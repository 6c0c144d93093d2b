//! Owners and members between two Keystones.

use super::*;
use crate::{ImageId, ImageStatus, MemberStatus};

fn name(domain: &str, name: &str) -> ProjectName {
    let domain = (!domain.is_empty()).then(|| domain.to_owned());
    let name = name.to_owned();
    ProjectName { domain, name }
}

/// `id domain name` each.
fn projects(of: &[(&str, &str, &str)]) -> Arc<Projects> {
    let named = of
        .iter()
        .map(|(id, domain, project)| ((*id).to_owned(), name(domain, project)));
    Arc::new(Projects::new(named.collect(), true))
}

fn source() -> Arc<Projects> {
    projects(&[
        ("s-alpha", "Default", "alpha"),
        ("s-beta", "Default", "beta"),
        ("s-gone", "Default", "gone"),
        ("s-other", "other", "beta"),
    ])
}

fn target() -> Arc<Projects> {
    projects(&[
        ("t-alpha", "Default", "alpha"),
        ("t-beta", "Default", "beta"),
        ("t-other", "other", "beta"),
        ("t-rest", "Default", "rest"),
    ])
}

fn map(
    owner: Owner,
    on_missing: OnMissingProject,
    lines: &str,
) -> Result<Identity, ProjectMapError> {
    let map = ProjectMap::new(owner, on_missing, source(), target(), lines)?;
    Ok(Identity::Mapped(Arc::new(map)))
}

fn image(owner: &str, members: &[&str]) -> ImageMetadata {
    let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
    let mut image = ImageMetadata::new(id, ImageStatus::Active);
    image.owner = Some(owner.to_owned());
    let members = members
        .iter()
        .map(|id| ((*id).to_owned(), MemberStatus::Accepted));
    image.members = Some(members.collect());
    image
}

/// The owner and the members that an image gets, and the members that are lost.
fn mapped(identity: &Identity, mut image: ImageMetadata) -> Result<String, String> {
    let lost = identity
        .apply(&mut image)
        .map_err(|error| error.to_string())?;
    let members: Vec<String> = image.members.unwrap_or_default().into_keys().collect();
    let lost: Vec<String> = lost.into_iter().collect();
    let owner = image.owner.unwrap_or_default();
    Ok(format!(
        "{owner} [{}] lost [{}]",
        members.join(" "),
        lost.join(" ")
    ))
}

#[test]
fn projects_are_mapped_by_domain_and_name() {
    let identity = map(Owner::Mapped, OnMissingProject::Fail, "").unwrap();
    let image = image("s-alpha", &["s-beta", "s-other", "t-rest"]);
    let got = mapped(&identity, image).unwrap();
    assert_eq!(got, "t-alpha [t-beta t-other t-rest] lost []");
}

#[test]
fn a_missing_project_obeys_each_policy() {
    let of = |on_missing| map(Owner::Mapped, on_missing, "").unwrap();
    let use_own = || OnMissingProject::Use("t-mine".to_owned());
    let text = "the target has no project Default/gone (s-gone)";
    for (on_missing, owner, member, skips) in [
        (OnMissingProject::Fail, Err(text), Err(text), false),
        (
            OnMissingProject::Skip,
            Err(text),
            Ok("t-alpha [] lost [Default/gone (s-gone)]"),
            true,
        ),
        (
            use_own(),
            Ok("t-mine [t-beta] lost []"),
            Ok("t-alpha [] lost [Default/gone (s-gone)]"),
            false,
        ),
    ] {
        let identity = of(on_missing);
        let as_texts = |got: Result<&str, &str>| got.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(
            mapped(&identity, image("s-gone", &["s-beta"])),
            as_texts(owner)
        );
        assert_eq!(
            mapped(&identity, image("s-alpha", &["s-gone"])),
            as_texts(member)
        );
        let problem = identity.apply(&mut image("s-gone", &[])).err();
        assert_eq!(
            problem.is_some_and(|problem| identity.skips(&problem)),
            skips
        );
    }
}

#[test]
fn one_owner_for_all_keeps_the_members_that_can_be_mapped() {
    let owner = Owner::One("t-mine".to_owned());
    let identity = map(owner, OnMissingProject::Fail, "").unwrap();
    let got = mapped(&identity, image("s-gone", &["s-beta", "s-gone", "no-name"])).unwrap();
    assert_eq!(got, "t-mine [t-beta] lost [Default/gone (s-gone) no-name]");
}

#[test]
fn the_lines_of_a_file_come_first() {
    let lines = "# who moved\nDefault/gone = rest\n\ns-alpha=other/beta # by id\n";
    let identity = map(Owner::Mapped, OnMissingProject::Fail, lines).unwrap();
    let got = mapped(&identity, image("s-gone", &["s-alpha"])).unwrap();
    assert_eq!(got, "t-rest [t-other] lost []");
    for (lines, problem) in [
        ("alpha", "line 1: it is not of the form `source = target`"),
        (
            "\nalpha =",
            "line 2: it is not of the form `source = target`",
        ),
        ("alpha = nobody", "line 1: the target has no project nobody"),
        (
            "alpha = beta",
            "line 1: the target has a project beta in each of the domains Default, other: write domain/name",
        ),
        (
            "beta = alpha",
            "line 1: the source has a project beta in each of the domains Default, other: write domain/name",
        ),
        (
            "alpha = rest\nDefault/alpha = beta",
            "line 2: the target has a project beta in each of the domains Default, other: write domain/name",
        ),
        (
            "alpha = rest\nDefault/alpha = rest",
            "line 2: Default/alpha is mapped twice",
        ),
    ] {
        let error = map(Owner::Mapped, OnMissingProject::Fail, lines).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
}

#[test]
fn an_archive_says_the_names_itself_and_without_a_domain_they_may_be_ambiguous() {
    let nothing = Arc::new(Projects::default());
    let map = ProjectMap::new(Owner::Mapped, OnMissingProject::Skip, nothing, target(), "");
    let identity = Identity::Mapped(Arc::new(map.unwrap()));
    let mut of_archive = image("x", &["y"]);
    of_archive.projects = [
        ("x".to_owned(), name("Default", "alpha")),
        ("y".to_owned(), name("", "rest")),
    ]
    .into();
    assert_eq!(
        mapped(&identity, of_archive.clone()).unwrap(),
        "t-alpha [t-rest] lost []"
    );
    of_archive.projects.insert("x".to_owned(), name("", "beta"));
    let problem = identity.apply(&mut of_archive).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the target has several projects that may be beta (x), in the domains Default, other"
    );
    assert!(
        !identity.skips(&problem),
        "it is an error, whatever the policy"
    );
    let unnamed = mapped(&identity, image("nobody", &[])).unwrap_err();
    assert_eq!(
        unnamed,
        "the source does not tell the name of project nobody"
    );
}

#[test]
fn an_archive_gets_names_beside_ids_that_stay() {
    let mut of_cloud = image("s-alpha", &["s-other", "nobody"]);
    Identity::Named(source()).apply(&mut of_cloud).unwrap();
    assert_eq!(of_cloud.owner.as_deref(), Some("s-alpha"));
    let names: Vec<String> = of_cloud
        .projects
        .values()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["Default/alpha", "other/beta"]);
}

#[test]
fn kept_ids_that_the_target_does_not_know_are_found() {
    let kept = Identity::Kept {
        known: Some(target()),
    };
    let unknown = kept.unknown(&image("s-alpha", &["t-beta", "s-beta"]));
    assert_eq!(unknown, ["s-alpha", "s-beta"]);
    assert!(
        Identity::default()
            .unknown(&image("s-alpha", &[]))
            .is_empty()
    );
}
