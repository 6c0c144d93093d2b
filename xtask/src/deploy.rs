//! Tries what surrounds the program: the examples of `deploy/` with GNU parallel, and on a Slurm of two
//! nodes that is started for it; the manifests against the schemas of Kubernetes; completion in real
//! shells, and the manual pages in `man`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, Outcome, root, succeeds};
use crate::{live, setup};

const NEEDED: [&str; 6] = ["slurm", "parallel", "venv", "man", "zsh", "fish"];

/// The validator, which has the schemas of its version of Kubernetes.
const KUBERNETES_VALIDATE: &str = "kubernetes-validate==1.37.0";
/// The oldest and the newest Kubernetes that the manifests are for.
const KUBERNETES: [&str; 2] = ["1.33", "1.37"];

/// Installs what is missing, and runs every example.
pub(crate) fn run_examples() -> Outcome {
    setup::install(&NEEDED)?;
    validate_manifests()?;
    let slurm = Slurm::start()?;
    let conf = slurm.dir.join("slurm.conf");
    let mut suite = live::suite("deploy");
    suite.env("SLURM_CONF", conf).env("GLANCE_SLURM", script());
    shell::run(suite.env("GLANCE_SLURM_DIR", &slurm.dir))
}

fn validate_manifests() -> Outcome {
    let environment = root().join("target/deploy/kubernetes");
    let validator = environment.join("bin/kubernetes-validate");
    if !succeeds(Command::new(&validator).arg("--version")) {
        let python = env::var_os("GLANCE_LAB_PYTHON").unwrap_or_else(|| "python3".into());
        shell::run(Command::new(python).args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/pip"));
        pip.args(["install", "-q", "--disable-pip-version-check"]);
        shell::run(pip.arg(KUBERNETES_VALIDATE))?;
    }
    for version in KUBERNETES {
        let mut command = Command::new(&validator);
        command.args(["--strict", "-k", version]);
        command.args([
            "deploy/kubernetes/cronjob.yaml",
            "deploy/kubernetes/livecopy.yaml",
            "deploy/kubernetes/merge.yaml",
        ]);
        shell::run(command.current_dir(root()))?;
    }
    Ok(())
}

/// A Slurm that runs; dropping it stops it.
struct Slurm {
    dir: PathBuf,
}

impl Slurm {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let slurm = Self {
            dir: root().join("target/deploy/slurm"),
        };
        shell::run(Command::new(script()).arg("up").arg(&slurm.dir))?;
        Ok(slurm)
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // What is left of it is ended when it is started again.
        let _ = shell::run(Command::new(script()).arg("down").arg(&self.dir));
    }
}

fn script() -> PathBuf {
    root().join("xtask/deploy/slurm")
}
