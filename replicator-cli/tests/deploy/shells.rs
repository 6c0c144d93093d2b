//! Completion in real shells, and the manual pages in a real `man`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{command, output};

const CLOUDS: &str = "
clouds:
  prod:
    auth: {auth_url: 'http://127.0.0.1:1/v3'}
    regions: [one, two]
  dr:
    auth: {auth_url: 'http://127.0.0.1:1/v3'}
";

/// Lines that are begun, and all that a shell has to offer for the last word.
const LINES: [(&str, &[&str]); 6] = [
    ("glance-replicator livec", &["livecopy"]),
    ("glance-replicator livecopy --verify re", &["read-back"]),
    ("glance-replicator livecopy cloud:d", &["cloud:dr"]),
    (
        "glance-replicator livecopy --source-os-cloud=",
        &["--source-os-cloud=dr", "--source-os-cloud=prod"],
    ),
    (
        "glance-replicator livecopy cloud:dr cloud:prod/",
        &["cloud:prod/one", "cloud:prod/two"],
    ),
    ("glance-replicator dump cloud:dr back", &["backup"]),
];

/// A directory with clouds, and one with a script of the program's for a shell.
fn home(shell: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("clouds.yaml"), CLOUDS).unwrap();
    fs::create_dir(dir.path().join("backup")).unwrap();
    let mut completion = command(env!("CARGO_BIN_EXE_glance-replicator"), dir.path());
    let script = output(completion.args(["completion", shell]));
    fs::write(dir.path().join("completion"), script).unwrap();
    dir
}

fn words(text: &str) -> Vec<&str> {
    // Behind a tab, fish says what it is.
    let words = text.lines().filter_map(|line| line.split('\t').next());
    let mut words: Vec<&str> = words.map(|word| word.trim_end_matches('/')).collect();
    words.sort_unstable();
    words
}

/// As bash calls it: with the line, and what is in `COMPREPLY` put behind what it keeps of the word.
/// Where nothing is, `-o default` completes paths, which is bash's own.
#[test]
fn bash_completes_commands_options_clouds_and_paths() {
    let home = home("bash");
    let script = r#"
        source ./completion
        complete -p glance-replicator | grep -q -- '-o default' || exit 1
        COMP_LINE=$1 COMP_POINT=${#1}
        _glance_replicator
        kept=
        word=${1##* }
        [[ $word == *[:=]* ]] && kept=${word%"${word##*[:=]}"}
        if [[ ${#COMPREPLY[@]} == 0 ]]; then compgen -f -- "$word"; fi
        for reply in "${COMPREPLY[@]}"; do echo "$kept$reply"; done
    "#;
    for (line, expected) in LINES {
        let mut bash = command("bash", home.path());
        let found = output(bash.args(["--norc", "-c", script, "bash", line]));
        assert_eq!(words(&found), expected, "{line}");
    }
}

/// fish tells what it would offer.
#[test]
fn fish_completes_commands_options_clouds_and_paths() {
    let home = home("fish");
    for (line, expected) in LINES {
        let mut fish = command("fish", home.path());
        fish.env("HOME", home.path());
        let script = "source ./completion; complete -C $argv[1]";
        let found = output(fish.args(["--no-config", "-c", script, line]));
        assert_eq!(words(&found), expected, "{line}");
    }
}

/// zsh completes on a terminal alone, which it makes itself: after the line and a tab, the word is
/// inserted as far as it is sure, and ^D lists what there is.
#[test]
fn zsh_completes_commands_options_clouds_and_paths() {
    let home = home("zsh");
    let script = r#"
        zmodload zsh/zpty
        zpty -b shell 'zsh -f -i'
        zpty -w shell 'PROMPT= RPROMPT= LISTMAX=1000; stty columns 200'
        zpty -w shell 'autoload -U compinit; compinit -u -D; source ./completion'
        zpty -w shell 'show() { print -r -- "<$BUFFER>" >> found; zle kill-buffer; zle -R }; zle -N show; bindkey "^X" show'
        zpty -w shell 'print -r -- ready >> found'
        for i in {1..100}; do [[ -e found ]] && break; sleep 0.05; done
        zpty -w -n shell "$1"$'\t\x18'
        for i in {1..100}; do [[ $(wc -l <found) -ge 2 ]] && break; zpty -r -t shell _; sleep 0.05; done
        zpty -d shell
        tail -n 1 found
    "#;
    for (line, word) in [
        ("glance-replicator livec", "livecopy "),
        ("glance-replicator livecopy --verify re", "read-back "),
        ("glance-replicator livecopy cloud:d", "cloud:dr "),
        (
            "glance-replicator livecopy --source-os-cloud=p",
            "--source-os-cloud=prod ",
        ),
        (
            "glance-replicator livecopy cloud:dr cloud:prod/o",
            "cloud:prod/one ",
        ),
        ("glance-replicator dump cloud:dr back", "backup/"),
    ] {
        let _ = fs::remove_file(home.path().join("found"));
        let mut zsh = command("zsh", home.path());
        let found = output(zsh.args(["-f", "-c", script, "zsh", line]));
        let begun = &line[..line.rfind(' ').unwrap()];
        assert_eq!(found, format!("<{begun} {word}>\n"), "{line}");
    }
}

#[test]
fn man_finds_no_fault_in_any_page() {
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_glance-replicator"));
    output(command(program, dir.path()).args(["man", "."]));
    let mut pages = 0;
    for file in fs::read_dir(dir.path()).unwrap() {
        let page = file.unwrap().path();
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l"]).arg(&page);
        let read = man.env("MANWIDTH", "80").output().unwrap();
        let warnings = String::from_utf8(read.stderr).unwrap();
        assert!(
            read.status.success() && warnings.is_empty(),
            "{}: {warnings}",
            page.display()
        );
        let text = String::from_utf8(read.stdout).unwrap();
        for section in ["NAME", "SYNOPSIS", "EXAMPLES", "EXIT STATUS"] {
            assert!(
                text.lines().any(|line| line == section),
                "{section}: {text}"
            );
        }
        pages += 1;
    }
    assert!(pages >= 12, "{pages}");
}
