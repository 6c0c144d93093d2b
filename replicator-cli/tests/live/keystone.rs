//! The cloud of the lab: its Keystone, spoken to without any code of ours, and runs of
//! the program that know its clouds.

use std::path::PathBuf;
use std::process::Command;

use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::text;

/// The password of every user.
pub(crate) const PASSWORD: &str = "secret";

pub(crate) struct SignedIn {
    pub(crate) token: String,
    pub(crate) user_id: String,
    pub(crate) project_id: String,
}

/// A variable that `cargo xtask live` sets.
pub(crate) fn variable(name: &str) -> String {
    let name = format!("GLANCE_LAB_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is set by `cargo xtask live`"))
}

pub(crate) fn sign_in(user: &str, project: &str) -> SignedIn {
    sign_in_at("KEYSTONE", user, project)
}

/// Signs in at one of the Keystones.
pub(crate) fn sign_in_at(keystone: &str, user: &str, project: &str) -> SignedIn {
    let default = json!({"id": "default"});
    let user = json!({"name": user, "domain": default, "password": PASSWORD});
    let request = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": project, "domain": default}},
    }});
    let url = format!("{}/v3/auth/tokens", variable(keystone));
    let answer = Client::new().post(url).body(request.to_string());
    let answer = answer.header("Content-Type", "application/json");
    let answer = answer.send().unwrap();
    assert_eq!(answer.status(), 201, "{request}");
    let token = answer.headers()["x-subject-token"].to_str().unwrap();
    let token = token.to_owned();
    let details: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
    let id = |of: &str| details["token"][of]["id"].as_str().unwrap().to_owned();
    SignedIn {
        token,
        user_id: id("user"),
        project_id: id("project"),
    }
}

/// The machine as the program sees it: no more than the files of clouds.
pub(crate) struct Shell {
    variables: Vec<(String, String)>,
    /// Holds the file of clouds, if it is the test's own.
    directory: TempDir,
}

pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Shell {
    /// With the clouds of the lab.
    pub(crate) fn of_lab() -> Self {
        let shell = Self {
            variables: Vec::new(),
            directory: TempDir::new().unwrap(),
        };
        shell
            .with("OS_CLIENT_CONFIG_FILE", &variable("CLOUDS"))
            .with("OS_CLIENT_SECURE_FILE", &variable("SECURE"))
    }

    /// With clouds of the test's own.
    pub(crate) fn of_clouds(clouds: &str) -> Self {
        let shell = Self {
            variables: Vec::new(),
            directory: TempDir::new().unwrap(),
        };
        let path = shell.path();
        std::fs::write(&path, clouds).unwrap();
        shell.with("OS_CLIENT_CONFIG_FILE", path.to_str().unwrap())
    }

    /// Where clouds of the test's own are.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("clouds.yaml")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the program; fails unless it ends with that exit code.
    pub(crate) fn run(&self, expected: i32, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_glance-replicator"))
            .env_clear()
            // Lines without times.
            .env("GLANCE_REPLICATOR_LOG_FORMAT", "plain")
            .envs(self.variables.iter().cloned())
            .current_dir(self.directory.path())
            .args(args)
            .args(["--progress", "none"])
            .output()
            .unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let code = output.status.code();
        assert_eq!(code, Some(expected), "{args:?}\n{stdout}\n{stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}\n{stderr}");
        Ran { stdout, stderr }
    }

    /// Runs the program, which fails with that exit code and says all of that.
    pub(crate) fn fail(&self, expected: i32, args: &[&str], words: &[&str]) {
        let ran = self.run(expected, args);
        for word in words {
            assert!(ran.stderr.contains(word), "no {word:?}: {}", ran.stderr);
        }
        assert_eq!(ran.stdout, "");
    }
}
