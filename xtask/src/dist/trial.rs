//! Tries what was built: each package is installed, run and removed, in a directory of its own and not
//! on this machine.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Release, USER};
use crate::shell::{Outcome, output, root, run};

pub(super) fn run_trials(release: &Release) -> Outcome {
    let trial = Trial {
        release,
        dir: root().join("target/trial"),
    };
    if trial.dir.exists() {
        fs::remove_dir_all(&trial.dir)?;
    }
    fs::create_dir_all(&trial.dir)?;
    trial.archive()?;
    trial.deb()?;
    trial.rpm()?;
    trial.image()?;
    for file in release.files()? {
        let size = fs::metadata(release.dir.join(&file))?.len();
        println!("{:>8.1} MiB  {file}", size as f64 / 1_048_576.0);
    }
    let binary = release.tree.join("usr/bin/glance-replicator");
    let size = fs::metadata(&binary)?.len() as f64 / 1_048_576.0;
    println!("{size:>8.1} MiB  the program itself, {}", release.target);
    Ok(())
}

struct Trial<'a> {
    release: &'a Release,
    dir: PathBuf,
}

impl Trial<'_> {
    fn root(&self, name: &str) -> Result<PathBuf, Box<dyn Error>> {
        let root = self.dir.join(name);
        fs::create_dir_all(&root)?;
        Ok(root)
    }

    /// The file that was built with this ending.
    fn built(&self, ending: &str) -> Result<PathBuf, Box<dyn Error>> {
        let files = self.release.files()?;
        let file = files.into_iter().find(|file| file.ends_with(ending));
        let file = file.ok_or_else(|| format!("there is no {ending} in target/dist"))?;
        Ok(self.release.dir.join(file))
    }

    /// The program and all that comes with it is there, and it runs.
    fn is_whole(&self, root: &Path) -> Outcome {
        for path in [
            "share/man/man1/glance-replicator.1",
            "share/man/man1/glance-replicator-livecopy.1",
            "share/bash-completion/completions/glance-replicator",
            "share/zsh/vendor-completions/_glance-replicator",
            "share/fish/vendor_completions.d/glance-replicator.fish",
            "share/doc/glance-replicator",
        ] {
            let path = root.join("usr").join(path);
            // Debian packs the pages.
            if !path.exists() && !path.with_extension("1.gz").exists() {
                return Err(format!("{} is not there", path.display()).into());
            }
        }
        self.runs(&mut Command::new(root.join("usr/bin/glance-replicator")))
    }

    fn runs(&self, command: &mut Command) -> Outcome {
        let said = output(command.arg("--version"))?;
        let expected = format!("glance-replicator {}\n", self.release.version);
        match said == expected {
            true => Ok(()),
            false => Err(format!("it says {said:?}, not {expected:?}").into()),
        }
    }

    fn archive(&self) -> Outcome {
        let root = self.root("tar")?;
        run(Command::new("tar")
            .arg("-xf")
            .arg(self.built(".tar.gz")?)
            .arg("-C")
            .arg(&root))?;
        self.is_whole(&root)
    }

    fn deb(&self) -> Outcome {
        let root = self.root("deb")?;
        let dpkg = |arguments: &[&str]| {
            let mut dpkg = Command::new("dpkg");
            dpkg.arg(format!("--root={}", root.display()));
            dpkg.args(["--force-not-root", "--log=/dev/null"]);
            if !self.release.is_static() {
                // The root is empty: it has no glibc.
                dpkg.arg("--force-depends");
            }
            dpkg.args(arguments);
            dpkg
        };
        fs::create_dir_all(root.join("var/lib/dpkg/info"))?;
        fs::create_dir_all(root.join("var/lib/dpkg/updates"))?;
        for file in ["status", "available"] {
            fs::write(root.join("var/lib/dpkg").join(file), "")?;
        }
        run(Command::new("dpkg-deb")
            .arg("--info")
            .arg(self.built(".deb")?))?;
        run(dpkg(&["--install"]).arg(self.built(".deb")?))?;
        self.is_whole(&root)?;
        run(&mut dpkg(&["--purge", "glance-replicator"]))?;
        is_gone(&root)
    }

    fn rpm(&self) -> Outcome {
        let root = self.root("rpm")?;
        let rpm = |arguments: &[&str]| {
            let mut rpm = Command::new("rpm");
            rpm.arg("--root").arg(&root).args(arguments);
            rpm
        };
        run(Command::new("rpm").args(["-qip"]).arg(self.built(".rpm")?))?;
        // Debian's own rpm warns that it is for nothing but this.
        run(rpm(&["--install", "--nodeps", "--nosignature"]).arg(self.built(".rpm")?))?;
        self.is_whole(&root)?;
        run(&mut rpm(&["--erase", "glance-replicator"]))?;
        is_gone(&root)
    }

    /// Runs the program of the image as its user, with nothing but the image's files.
    fn image(&self) -> Outcome {
        let (layout, bundle) = (self.root("oci")?, self.dir.join("bundle"));
        run(Command::new("tar")
            .arg("-xf")
            .arg(self.built(".oci.tar")?)
            .arg("-C")
            .arg(&layout))?;
        let image = format!("{}:{}", layout.display(), self.release.version);
        let mut unpack = Command::new("umoci");
        run(unpack
            .args(["unpack", "--rootless", "--image", &image])
            .arg(&bundle))?;
        let files = bundle.join("rootfs");
        let config = fs::read_to_string(bundle.join("config.json"))?;
        for wanted in ["\"uid\": 65532", "/usr/bin/glance-replicator"] {
            if !config.contains(wanted) {
                return Err(format!("the image's configuration does not say {wanted}").into());
            }
        }
        if !rustix::process::geteuid().is_root() {
            println!("NOT RUN: the image, since it takes root to change the root directory");
            return Ok(());
        }
        let mut chroot = Command::new("chroot");
        chroot.arg(format!("--userspec={USER}")).arg(&files);
        self.runs(chroot.arg("/usr/bin/glance-replicator"))
    }
}

/// A package that was removed leaves none of its files.
fn is_gone(root: &Path) -> Outcome {
    let left = root.join("usr/bin/glance-replicator");
    let left = [left, root.join("usr/share/man/man1/glance-replicator.1")];
    match left.iter().find(|path| path.exists()) {
        Some(path) => Err(format!("{} was not removed", path.display()).into()),
        None => Ok(()),
    }
}
