//! The examples of `deploy/` that no scheduler of this machine can run, and what all of them agree on.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::kit::images::{glance, numbered};
use crate::kit::runs::{path, succeeded};
use glance_client::testing::Profile;

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(file)).unwrap()
}

/// The last document of a manifest: its Job.
fn job(file: &str) -> Value {
    let text = read(&format!("deploy/kubernetes/{file}"));
    serde_saphyr::from_str(text.rsplit("\n---\n").next().unwrap()).unwrap()
}

fn container(job: &Value) -> &Value {
    &job["spec"]["template"]["spec"]["containers"][0]
}

fn args(job: &Value) -> Vec<&str> {
    let args = container(job)["args"].as_array().unwrap();
    args.iter().map(|arg| arg.as_str().unwrap()).collect()
}

fn codes(rule: &Value) -> BTreeSet<u64> {
    let values = rule["onExitCodes"]["values"]
        .as_array()
        .into_iter()
        .flatten();
    values.map(|value| value.as_u64().unwrap()).collect()
}

/// The schemas of Kubernetes do not have the words of these fields.
#[test]
fn words_of_the_manifests_are_those_that_kubernetes_knows() {
    for file in ["livecopy.yaml", "merge.yaml"] {
        let job = job(file);
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Never", "{file}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(
            container(&job)["securityContext"]["capabilities"]["drop"][0],
            "ALL"
        );
        assert_eq!(
            container(&job)["image"],
            format!("glance-replicator:{}", env!("CARGO_PKG_VERSION"))
        );
    }
    let job = job("livecopy.yaml");
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().unwrap();
    let actions: Vec<&str> = rules
        .iter()
        .map(|rule| rule["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["Ignore", "FailJob", "FailIndex", "Count"]);
    assert_eq!(rules[0]["onPodConditions"][0]["type"], "DisruptionTarget");
    for rule in &rules[1..] {
        assert_eq!(rule["onExitCodes"]["operator"], "In");
        assert_eq!(
            rule["onExitCodes"]["containerName"],
            container(&job)["name"]
        );
    }
    let volume = read("deploy/kubernetes/livecopy.yaml");
    assert!(volume.contains("accessModes: [ReadWriteMany]"));
}

/// Done, and differences, which only `compare` ends with, need no rule.
#[test]
fn each_exit_code_has_its_rule_and_slurm_repeats_what_kubernetes_repeats() {
    let table = read("docs/scripting.md");
    let rows = table.split("## Exit codes").nth(1).unwrap().lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let known = rows
        .flat_map(|row| row.split(", "))
        .filter_map(|code| code.parse().ok());
    let known: BTreeSet<u64> = known.filter(|code| ![0, 5].contains(code)).collect();
    let job = job("livecopy.yaml");
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().unwrap();
    let ruled: Vec<u64> = rules.iter().flat_map(codes).collect();
    assert_eq!(ruled.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(ruled.len(), known.len(), "a code has two rules");

    let script = read("deploy/slurm/livecopy.sbatch");
    let case = script
        .lines()
        .find_map(|line| line.trim().strip_suffix(')')?.strip_prefix("1 | "));
    let repeated = case.unwrap().split(" | ").map(|code| code.parse().unwrap());
    assert_eq!(
        repeated.chain([1]).collect::<BTreeSet<_>>(),
        codes(&rules[3])
    );
}

#[test]
fn pods_of_the_manifests_copy_every_image_and_add_their_reports_up() {
    let (source, target) = (numbered(12), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let (job, merge) = (job("livecopy.yaml"), job("merge.yaml"));
    let here = |arg: &str, index: &str| {
        let arg = arg.replace("$(JOB_COMPLETION_INDEX)", index);
        let arg = arg.replace("/reports", path(dir.path()));
        arg.replace("cloud:prod", source.url())
            .replace("cloud:dr", target.url())
    };
    let run = |job: &Value, index: &str| {
        let args: Vec<String> = args(job).iter().map(|arg| here(arg, index)).collect();
        succeeded(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for index in 0..job["spec"]["completions"].as_u64().unwrap() {
        run(&job, &index.to_string());
    }
    let merged = run(&merge, "");
    assert!(merged.stderr.is_empty(), "{merged:?}");
    assert!(merged.stdout.contains("4 reports, 12 images"), "{merged:?}");
    assert_eq!(target.images().len(), 12);
    for field in ["parallelism", "maxFailedIndexes"] {
        assert_eq!(job["spec"][field], job["spec"]["completions"], "{field}");
    }
}
