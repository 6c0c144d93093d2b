//! Goes the way of README.md from a package to the first night, on a new machine between two clouds: the
//! section's own commands, run in a Debian that is made and booted for it (systemd-nspawn), between two
//! Keystones of the lab. What they print becomes docs/first-night.md.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::shell::{Outcome, output, root, run};
use crate::{lab, setup};

const SECTION: &str = "## From a package to the first night\n";
const PAGE: &str = "docs/first-night.md";
const DEBIAN: &str = "bookworm";
/// What a small server has besides the system itself.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,sudo,ca-certificates";
const USER: &str = "alice";
/// From the first process to the last service.
const BOOT: Duration = Duration::from_secs(120);

/// A Keystone and a Glance for each cloud.
const SERVERS: [&str; 4] = ["keystone", "region-one", "keystone-other", "region-other"];

/// The images of the first cloud: name, MiB of data, and options.
const IMAGES: [(&str, usize, &[&str]); 4] = [
    (
        "debian-13",
        8,
        &["--visibility", "public", "--property", "os_distro=debian"],
    ),
    (
        "ubuntu-24.04",
        12,
        &["--visibility", "public", "--property", "os_distro=ubuntu"],
    ),
    ("golden", 3, &["--visibility", "private"]),
    (
        "windows-2025",
        20,
        &["--visibility", "community", "--property", "os_type=windows"],
    ),
];

/// What systemd thinks of the units. And how metrics are collected: node_exporter shows the ones that it takes,
/// and counts what it does not.
const JUDGED: [&str; 5] = [
    "systemd-analyze verify glance-replicator@replicate.service glance-replicator@replicate.timer",
    "systemd-analyze security glance-replicator@replicate.service | tail -1",
    "sudo apt-get install -qq --no-install-recommends prometheus-node-exporter curl >/dev/null 2>&1",
    "sudo systemd-run -q prometheus-node-exporter --collector.disable-defaults --collector.textfile \
     --collector.textfile.directory=/var/lib/glance-replicator/metrics --web.listen-address=127.0.0.1:9190",
    "curl -sS --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:9190/metrics | grep -E '^(glance|node_textfile_scrape)'",
];
const COLLECTED: &str = "\nnode_textfile_scrape_error 0\n";

const HEAD: &str = "\
# The first night

What the commands of the [README](../README.md#from-a-package-to-the-first-night) print, on a new Debian 12 that has nothing but its base
system, sudo and certificates, between two clouds with a Keystone each. `cargo xtask dist && cargo xtask first-night` writes this page: it
boots such a machine, runs the commands one by one as a user who may use sudo, and stops at the first that fails. Behind each command stands
the time that it took.
";

/// Runs all of it, and writes the page.
pub(crate) fn walk() -> Outcome {
    setup::install(&["debootstrap", "nspawn"])?;
    let readme = fs::read_to_string(root().join("README.md"))?;
    let steps = steps(&readme)?;
    let package = package()?;
    let _taken = lab::take()?;
    // Left as it was found.
    let was_up = in_lab(&["status"]).is_ok();
    in_lab(&["up", "--fresh"])?;
    let walked = go(&steps, &package);
    if !was_up {
        in_lab(&["down"])?;
    }
    fs::write(root().join(PAGE), walked?)?;
    println!("{PAGE} is written");
    Ok(())
}

/// A command of the lab, for the servers that it takes here.
fn in_lab(command: &[&str]) -> Outcome {
    let words = command.iter().chain(&SERVERS);
    lab::run(&words.map(|word| (*word).to_owned()).collect::<Vec<_>>())
}

fn go(steps: &[Step<'_>], package: &Path) -> Result<String, Box<dyn Error>> {
    let environment: BTreeMap<String, String> = lab::environment()?.into_iter().collect();
    let machine = Machine::boot()?;
    machine.place(
        package,
        &package.file_name().unwrap_or_default().to_string_lossy(),
    )?;
    let mut page = HEAD.to_owned();
    for step in steps {
        match step {
            Step::Heading(heading) => {
                println!("\n{heading}");
                write!(page, "\n##{}\n", heading.trim_start_matches('#'))?;
            }
            Step::Clouds(text) => {
                let clouds = of_the_lab(text, &environment);
                let file = root().join("target/first-night/clouds.yaml");
                fs::write(&file, clouds)?;
                fill(&file)?;
                machine.place(&file, ".config/openstack/clouds.yaml")?;
            }
            Step::Commands(commands) => page.push_str(&machine.shell(commands.lines())?),
        }
    }
    page.push_str("\n## What systemd and node_exporter say of it\n");
    page.push_str(&machine.shell(JUDGED.into_iter())?);
    match page.contains(COLLECTED) {
        true => Ok(page),
        false => Err("node_exporter does not take the metrics".into()),
    }
}

/// A part of the section.
enum Step<'a> {
    Heading(&'a str),
    /// A clouds.yaml, of clouds that nobody has.
    Clouds(&'a str),
    Commands(&'a str),
}

fn steps(readme: &str) -> Result<Vec<Step<'_>>, Box<dyn Error>> {
    let (_, section) = readme
        .split_once(SECTION)
        .ok_or("README.md has lost the section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut steps = Vec::new();
    // Text and blocks take turns.
    for (number, part) in section.split("```").enumerate() {
        match part.split_once('\n') {
            Some(("sh", commands)) if number % 2 == 1 => steps.push(Step::Commands(commands)),
            Some(("yaml", clouds)) if number % 2 == 1 => steps.push(Step::Clouds(clouds)),
            _ => {
                let headings = part.lines().filter(|line| line.starts_with("### "));
                steps.extend(headings.map(Step::Heading));
            }
        }
    }
    Ok(steps)
}

/// The package that was built last.
fn package() -> Result<PathBuf, Box<dyn Error>> {
    let files = fs::read_dir(root().join("target/dist"))
        .into_iter()
        .flatten();
    let mut packages = files.flatten().map(|entry| entry.path());
    let package = packages.find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    Ok(package.ok_or("there is no package: `cargo xtask dist` builds it")?)
}

/// The same file, of the lab's clouds.
fn of_the_lab(clouds: &str, lab: &BTreeMap<String, String>) -> String {
    let keystone = |name: &str| lab.get(name).map(String::as_str).unwrap_or_default();
    let mut text = clouds.replace("its password", "secret");
    for (cloud, name) in [
        ("prod", "GLANCE_LAB_KEYSTONE"),
        ("dr", "GLANCE_LAB_KEYSTONE_OTHER"),
    ] {
        text = text.replace(
            &format!("https://keystone.{cloud}.example.org"),
            keystone(name),
        );
    }
    text.replace("RegionTwo", "RegionOther")
}

/// Gives the first cloud images.
fn fill(clouds: &Path) -> Outcome {
    let program = root().join("target/stage/usr/bin/glance-replicator");
    for (name, mebibytes, options) in IMAGES {
        let file = root().join("target/first-night").join(name);
        fs::write(&file, name.repeat(mebibytes * 1024 * 1024 / name.len()))?;
        let mut push = Command::new(&program);
        push.env("OS_CLIENT_CONFIG_FILE", clouds);
        push.args(["-q", "push", "--name", name]).args(options);
        run(push.arg(&file).arg("cloud:prod"))?;
    }
    Ok(())
}

/// A Debian that runs beside this one, with its processes and files to itself, and this one's network.
struct Machine {
    dir: PathBuf,
    container: Child,
    /// Its first process, as this machine sees it.
    init: String,
}

impl Machine {
    /// Makes one that nobody has used, and boots it.
    fn boot() -> Result<Self, Box<dyn Error>> {
        let scratch = root().join("target/first-night");
        let (base, dir) = (scratch.join(DEBIAN), scratch.join("machine"));
        fs::create_dir_all(&scratch)?;
        if !base.exists() {
            let made = scratch.join("new");
            let mut debootstrap = Command::new("debootstrap");
            debootstrap.args([
                "--variant=minbase",
                &format!("--include={PACKAGES}"),
                DEBIAN,
            ]);
            run(debootstrap.arg(&made))?;
            fs::rename(made, &base)?;
        }
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        run(Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .args([&base, &dir]))?;
        let as_there = |words: &[&str]| run(Command::new("chroot").arg(&dir).args(words));
        as_there(&["useradd", "--create-home", "--shell=/bin/bash", USER])?;
        // debootstrap gives it the name of this machine, which nothing there knows.
        fs::write(dir.join("etc/hostname"), "clean\n")?;
        fs::write(dir.join("etc/hosts"), "127.0.0.1 localhost clean\n")?;
        let sudoer = format!("{USER} ALL=(ALL) NOPASSWD: ALL\n");
        fs::write(dir.join("etc/sudoers.d").join(USER), sudoer)?;
        let mut nspawn = Command::new("systemd-nspawn");
        // Nobody on this machine has to know of it.
        nspawn.args([
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--machine=clean",
            "--boot",
        ]);
        nspawn.arg("--directory").arg(&dir).stdin(Stdio::null());
        nspawn.stdout(fs::File::create(scratch.join("boot.log"))?);
        let container = nspawn.spawn()?;
        let mut machine = Self {
            dir,
            container,
            init: String::new(),
        };
        let started = Instant::now();
        while !machine.is_up()? {
            if started.elapsed() > BOOT {
                return Err("the machine does not boot: target/first-night/boot.log".into());
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(machine)
    }

    fn is_up(&mut self) -> io::Result<bool> {
        let parent = self.container.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        self.init = children.trim().to_owned();
        let state = self
            .enter()
            .args(["systemctl", "is-system-running"])
            .output()?;
        Ok(!self.init.is_empty() && state.stdout.starts_with(b"running"))
    }

    /// A command to which the words of one inside are added.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.init, "--"]);
        command
    }

    /// Gives a file to the user, and to nobody else.
    fn place(&self, file: &Path, name: &str) -> Outcome {
        let home = self.dir.join("home").join(USER);
        let place = home.join(name);
        fs::create_dir_all(place.parent().unwrap_or(&home))?;
        fs::copy(file, &place)?;
        let owner = format!("{USER}:{USER}");
        run(Command::new("chroot")
            .arg(&self.dir)
            .args(["chown", "-R", &owner, "/home"]))?;
        run(Command::new("chmod").arg("600").arg(&place))
    }

    /// Runs commands as the user has them typed, up to the first that fails; returns what they print, and
    /// the time of each.
    fn shell<'a>(&self, commands: impl Iterator<Item = &'a str>) -> Result<String, Box<dyn Error>> {
        let mut page = "\n```text\n".to_owned();
        for command in commands {
            let both = format!("exec 2>&1; {command}");
            let started = Instant::now();
            let printed = output(self.enter().args(["su", "-", USER, "-c", &both]))?;
            let seconds = started.elapsed().as_secs_f64();
            let mut shown = format!("$ {command}  # {seconds:.1} s\n");
            for line in printed.lines() {
                // As a terminal leaves it.
                let line = line.rsplit('\r').next().unwrap_or_default();
                writeln!(shown, "{}", line.trim_end())?;
            }
            print!("{shown}");
            page.push_str(&shown);
        }
        page.push_str("```\n");
        Ok(page)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.enter().args(["systemctl", "poweroff"]).status();
        let _ = self.container.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_has_each_step_of_the_way() {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let kinds: String = steps(&readme)
            .unwrap()
            .iter()
            .map(|step| match step {
                Step::Heading(_) => '#',
                Step::Clouds(_) => 'c',
                Step::Commands(_) => '$',
            })
            .collect();
        assert_eq!(kinds, "#$#c$#$#$$");
    }

    #[test]
    fn clouds_of_the_readme_are_those_of_the_lab_then() {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let steps = steps(&readme).unwrap();
        let clouds = steps.iter().find_map(|step| match step {
            Step::Clouds(text) => Some(*text),
            _ => None,
        });
        let lab = [
            ("GLANCE_LAB_KEYSTONE", "http://one"),
            ("GLANCE_LAB_KEYSTONE_OTHER", "http://other"),
        ];
        let lab = lab.map(|(name, url)| (name.to_owned(), url.to_owned()));
        let text = of_the_lab(clouds.unwrap(), &lab.into());
        for wanted in [
            "auth_url: http://one/v3",
            "auth_url: http://other/v3",
            "RegionOther",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
        assert!(
            !text.contains("example.org") && !text.contains("its password"),
            "{text}"
        );
    }
}
