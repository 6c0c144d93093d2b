//! Builds what a release consists of, below `target/dist`, and tries it: a static binary, a Debian and
//! an RPM package, a container image, a bill of materials, and the checksums of all.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::embedded::DEBUG;
use crate::setup;
use crate::shell::{Outcome, cargo, host, output, root, run};

mod trial;

/// What packages are made with, and tried with.
const NEEDED: [&str; 5] = ["cc", "curl", "umoci", "rpm", "shlibdeps"];

/// The image's user: of no name, and not root.
const USER: &str = "65532:65532";

/// Builds and tries all of it; if it is to be `quick`, of a debug build.
pub(crate) fn build_release(quick: bool) -> Outcome {
    setup::install(&NEEDED)?;
    setup::install_release_tools()?;
    let release = Release::new(quick)?;
    if !quick {
        crates()?;
    }
    release.stage()?;
    release.archive()?;
    release.packages()?;
    release.image()?;
    release.bill_of_materials()?;
    release.checksums()?;
    trial::run_trials(&release)
}

/// Packs the crates as crates.io gets them, and builds each out of its package and those of the others.
fn crates() -> Outcome {
    let arguments = ["package", "--workspace", "--exclude=xtask", "--locked"];
    // A release is of a commit; to try it is not.
    run(cargo(&arguments).arg("--allow-dirty"))
}

/// What is built, of which version, and for what machine.
struct Release {
    version: String,
    target: String,
    /// Whether the program is that of a debug build.
    quick: bool,
    /// `target/dist`, with nothing in it but the results.
    dir: PathBuf,
    /// The files as they are installed, in their directories.
    tree: PathBuf,
    /// The time of the commit, in seconds: that of every file, so that two builds are equal.
    time: String,
}

impl Release {
    fn new(quick: bool) -> Result<Self, Box<dyn Error>> {
        let package = output(&mut cargo(&["pkgid", "--package=replicator-cli"]))?;
        let version = package.trim().rsplit(['@', '#']).next().unwrap_or_default();
        let commit = ["log", "-1", "--format=%ct"];
        let time = output(Command::new("git").args(commit).current_dir(root()))?;
        let (dir, tree) = (root().join("target/dist"), root().join("target/stage"));
        for dir in [&dir, &tree] {
            if dir.exists() {
                fs::remove_dir_all(dir)?;
            }
            fs::create_dir_all(dir)?;
        }
        let target = if quick { host()? } else { target()? };
        Ok(Self {
            version: version.to_owned(),
            target,
            quick,
            dir,
            tree,
            time: time.trim().to_owned(),
        })
    }

    /// The beginning of the names of files.
    fn name(&self) -> String {
        let machine = self.target.split('-').next().unwrap_or_default();
        format!("glance-replicator-{}-{machine}-linux", self.version)
    }

    fn is_static(&self) -> bool {
        self.target.ends_with("musl")
    }

    /// A command that makes the same of the same.
    fn reproducible(&self, mut command: Command) -> Command {
        command.env("SOURCE_DATE_EPOCH", &self.time);
        command.env("LC_ALL", "C.UTF-8").current_dir(root());
        command
    }

    /// Builds the binary: static if it can be, stripped, with the list of its crates in it, and without
    /// the directories of this machine.
    fn binary(&self) -> Result<PathBuf, Box<dyn Error>> {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
        let home = home.ok_or("there is no CARGO_HOME and no home directory")?;
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let target = root().join(target);
        // The last one that fits counts: what build scripts generate is in the target directory.
        let places = [
            (home, "/cargo"),
            (root(), "/glance-replicator"),
            (target.clone(), "/glance-replicator/target"),
        ];
        let places = places.map(|(place, name)| format!("{}={name}", place.display()));
        let flags = places
            .each_ref()
            .map(|place| format!(" --remap-path-prefix={place}"));
        let of_c = places.map(|place| format!("-ffile-prefix-map={place}"));
        let arguments = [
            "auditable",
            "build",
            "--release",
            "--locked",
            "--package=replicator-cli",
        ];
        let mut build = self.reproducible(cargo(&arguments));
        build.arg(format!("--target={}", self.target));
        let linked = match self.is_static() {
            true => "-C target-feature=+crt-static",
            false => "",
        };
        build.env("RUSTFLAGS", format!("{linked}{}", flags.concat()));
        build.env("CFLAGS", of_c.join(" "));
        build.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        build.env("PATH", setup::path_with_tools()?);
        run(&mut build)?;
        let built = target.join(&self.target);
        Ok(built.join("release/glance-replicator"))
    }

    /// Lays out all files as they are installed.
    fn stage(&self) -> Outcome {
        let binary = match self.quick {
            true => {
                run(&mut cargo(&["build", "--package=replicator-cli"]))?;
                DEBUG.built("glance-replicator")
            }
            false => self.binary()?,
        };
        let place = |path: &str| -> Result<PathBuf, Box<dyn Error>> {
            let path = self.tree.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&self.tree))?;
            Ok(path)
        };
        let program = place("usr/bin/glance-replicator")?;
        fs::copy(&binary, &program)?;
        run(Command::new(&program)
            .arg("man")
            .arg(place("usr/share/man/man1")?))?;
        for (shell, path) in [
            (
                "bash",
                "usr/share/bash-completion/completions/glance-replicator",
            ),
            ("zsh", "usr/share/zsh/vendor-completions/_glance-replicator"),
            (
                "fish",
                "usr/share/fish/vendor_completions.d/glance-replicator.fish",
            ),
        ] {
            let script = output(Command::new(&program).args(["completion", shell]))?;
            fs::write(place(path)?, script)?;
        }
        for document in ["LICENSE", "README.md", "CHANGELOG.md"] {
            let path = format!("usr/share/doc/glance-replicator/{document}");
            fs::copy(root().join(document), place(&path)?)?;
        }
        let certificates = "/etc/ssl/certs/ca-certificates.crt";
        fs::copy(certificates, self.tree.join("ca-certificates.crt"))?;
        let mut touch = Command::new("find");
        touch.arg(&self.tree).args(["-exec", "touch", "-hd"]);
        run(touch.arg(format!("@{}", self.time)).args(["{}", "+"]))
    }

    /// Packs the tree for machines that have other packages, or none.
    fn archive(&self) -> Outcome {
        let file = self.dir.join(format!("{}.tar.gz", self.name()));
        // Without the time at which it is packed.
        self.tar(
            &self.tree,
            "usr",
            &file,
            &["--use-compress-program=gzip -n9"],
        )
    }

    fn tar(&self, dir: &Path, what: &str, file: &Path, options: &[&str]) -> Outcome {
        let mut tar = self.reproducible(Command::new("tar"));
        tar.args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u=rwX,go=rX",
        ]);
        tar.arg(format!("--mtime=@{}", self.time)).args(options);
        tar.arg("-C").arg(dir);
        run(tar.arg("-cf").arg(file).arg(what))
    }

    fn packages(&self) -> Outcome {
        let target = format!("--target={}", self.target);
        let mut deb = self.reproducible(setup::tool("cargo-deb"));
        deb.args([
            "--no-build",
            "--no-strip",
            // The same in a tenth of the time: the tool is a debug build.
            "--compress-system",
            "--package=replicator-cli",
            &target,
            "--output",
        ]);
        run(deb.arg(&self.dir))?;
        let mut rpm = self.reproducible(setup::tool("cargo-generate-rpm"));
        rpm.args([
            "generate-rpm",
            "--package=replicator-cli",
            &target,
            "--output",
        ]);
        rpm.arg(&self.dir);
        // A static program needs nothing, which the tool does not see.
        run(rpm.args([
            "--auto-req",
            if self.is_static() {
                "disabled"
            } else {
                "builtin"
            },
        ]))
    }

    /// The libraries that the program loads, by their paths: none if it is static.
    fn libraries(&self) -> Result<Vec<String>, Box<dyn Error>> {
        if self.is_static() {
            return Ok(Vec::new());
        }
        let loaded = output(Command::new("ldd").arg(self.tree.join("usr/bin/glance-replicator")))?;
        let paths = loaded
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        Ok(paths.map(str::to_owned).collect())
    }

    /// Makes an OCI image of nothing but the program, what it loads, and the certificates, without a daemon.
    fn image(&self) -> Outcome {
        let layout = root().join("target/oci");
        if layout.exists() {
            fs::remove_dir_all(&layout)?;
        }
        let image = format!("{}:{}", layout.display(), self.version);
        let created = output(
            Command::new("date")
                .args(["-u", "+%FT%TZ", "-d"])
                .arg(format!("@{}", self.time)),
        )?;
        let created = created.trim();
        let umoci = |arguments: &[&str]| {
            let mut umoci = self.reproducible(Command::new("umoci"));
            umoci.args(arguments);
            umoci
        };
        run(umoci(&["init", "--layout"]).arg(&layout))?;
        run(&mut umoci(&["new", "--image", &image]))?;
        let certificates = "/etc/ssl/certs/ca-certificates.crt";
        let program = "/usr/bin/glance-replicator";
        let mut files = vec![
            (self.tree.join(&program[1..]), program.to_owned()),
            (
                self.tree.join("ca-certificates.crt"),
                certificates.to_owned(),
            ),
        ];
        for library in self.libraries()? {
            files.push((fs::canonicalize(&library)?, library));
        }
        for (file, place) in files {
            let mut insert = umoci(&["insert", "--rootless", "--image", &image]);
            insert.args(["--history.created", created]).arg(file);
            run(insert.arg(place))?;
        }
        let mut config = umoci(&["config", "--image", &image, "--created", created]);
        config.args(["--history.created", created, "--config.user", USER]);
        config.args(["--config.entrypoint", "/usr/bin/glance-replicator"]);
        let commit = output(
            Command::new("git")
                .args(["rev-parse", "HEAD"])
                .current_dir(root()),
        )?;
        for (label, value) in [
            ("title", "glance-replicator"),
            (
                "description",
                "Replicates, backs up and migrates OpenStack images",
            ),
            ("version", &*self.version),
            ("created", created),
            ("revision", commit.trim()),
            ("licenses", "Apache-2.0"),
            (
                "source",
                "https://github.com/glance-replicator/glance-replicator",
            ),
        ] {
            let label = format!("org.opencontainers.image.{label}={value}");
            config.args(["--config.label", &label]);
        }
        run(&mut config)?;
        run(umoci(&["gc", "--layout"]).arg(&layout))?;
        let file = self.dir.join(format!("{}.oci.tar", self.name()));
        self.tar(&layout, ".", &file, &[])
    }

    /// Writes which crates the program consists of, as CycloneDX.
    fn bill_of_materials(&self) -> Outcome {
        let name = format!("{}.cdx", self.name());
        let mut bill = self.reproducible(setup::tool("cargo-cyclonedx"));
        bill.args([
            "cyclonedx",
            "--format=json",
            "--spec-version=1.5",
            "--no-build-deps",
        ]);
        bill.arg(format!("--target={}", self.target));
        let manifest = "--manifest-path=replicator-cli/Cargo.toml";
        run(bill.args([manifest, "--override-filename", &name]))?;
        // It writes one beside the manifest of each crate of the workspace.
        let name = format!("{name}.json");
        for crate_dir in fs::read_dir(root())? {
            let written = crate_dir?.path().join(&name);
            if !written.exists() {
                continue;
            }
            if written.starts_with(root().join("replicator-cli")) {
                let here = root().display().to_string();
                let text = fs::read_to_string(&written)?.replace(&here, "/glance-replicator");
                fs::write(self.dir.join(&name), text)?;
            }
            fs::remove_file(written)?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let entries = fs::read_dir(&self.dir)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect::<std::io::Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn checksums(&self) -> Outcome {
        let files = self.files()?;
        let sums = output(
            Command::new("sha256sum")
                .args(&files)
                .current_dir(&self.dir),
        )?;
        fs::write(self.dir.join("SHA256SUMS"), sums)?;
        Ok(())
    }
}

/// Returns the target whose binaries need nothing of the machine: musl, if Rust has it, else that of this machine.
/// glibc is never linked in: such a program crashes where `nsswitch.conf` names a module of another glibc.
fn target() -> Result<String, Box<dyn Error>> {
    let musl = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let libraries = ["--print=target-libdir", "--target", &musl];
    let libraries = output(Command::new("rustc").args(libraries))?;
    if Path::new(libraries.trim()).exists() {
        setup::install(&["musl"])?;
        return Ok(musl);
    }
    println!(
        "NOT STATIC: it takes `rustup target add {musl}`. What is built needs a glibc as new as that of this machine."
    );
    host()
}
