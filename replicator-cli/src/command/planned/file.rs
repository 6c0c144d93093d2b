//! The file of a plan: written an image at a time, and read again so that what it approves is in memory
//! alone.
//!
//! It is a JSON document like those on stdout, so that other programs can look at it, and take images
//! out of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use glance_model::{ImageId, Selection, Shard};
use jiff::{Timestamp, Unit};
use replicator_core::{Approval, Approved, deal};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Planned, Totals};
use crate::ends::End;
use crate::error::CliError;
use crate::ui::document::schema_id;
use crate::ui::{Column, Readers, ReportFile, Row, bytes, column, escaped_json};

/// An image of a plan, and what is approved by leaving it there.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlanRow {
    #[serde(flatten)]
    planned: Planned,
    /// What `apply` compares with what is to be done by then; null where nothing is to be done.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    approval: Option<Approval>,
}

impl Row for PlanRow {
    const SCHEMA: &'static str = "plan/1";
    const ITEMS: &'static str = "images";
    const COLUMNS: &'static [Column] = &[
        column("target"),
        column("id"),
        column("name"),
        column("action"),
        column("reason"),
        column("message"),
        bytes("size"),
        column("digest"),
        column("owner"),
        column("target_id"),
        column("new_id"),
        column("changes"),
        column("approval"),
    ];
}

/// What a plan says of all images together, before them.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Head {
    /// The version of the program that has made it.
    version: String,
    /// The time at which it was made, in RFC 3339.
    made: String,
    pub(crate) source: PlannedEnd,
    pub(crate) targets: Vec<PlannedEnd>,
    /// The options that the plan was made with, and is applied with.
    pub(crate) options: Vec<String>,
    /// The images that were meant; empty if they are all images.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    selection: Selection,
}

/// An end of a plan.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlannedEnd {
    /// The end, as it is written on a command line.
    pub(crate) end: String,
    /// Its URL, or its path.
    pub(crate) name: String,
}

/// What a plan says of all images together, for its schema.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Rest {
    #[serde(flatten)]
    head: Head,
    totals: Vec<Totals>,
}

/// A file that a plan is written to.
pub(crate) struct PlanFile {
    path: PathBuf,
    file: ReportFile,
    head: Head,
    is_empty: bool,
}

impl PlanFile {
    /// Begins the file of a plan that is made with these options. An older one is there until the
    /// end.
    pub(crate) fn new(path: &Path, source: String, options: Vec<String>) -> Result<Self, CliError> {
        let now = Timestamp::now();
        let source = PlannedEnd {
            end: source,
            name: String::new(),
        };
        Ok(Self {
            path: path.to_owned(),
            file: ReportFile::begin(path, Readers::Owner)?,
            head: Head {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                made: now.round(Unit::Second).unwrap_or(now).to_string(),
                source,
                targets: Vec::new(),
                options,
                selection: Selection::default(),
            },
            is_empty: true,
        })
    }

    /// Writes what comes before the images.
    pub(crate) fn begin(
        &mut self,
        source: &str,
        targets: impl Iterator<Item = (String, String)>,
        selection: &Selection,
    ) -> Result<(), CliError> {
        self.head.source.name = source.to_owned();
        let targets = targets.map(|(end, name)| PlannedEnd { end, name });
        self.head.targets = targets.collect();
        self.head.selection = selection.clone();
        let head = json(&self.head);
        let head = head
            .strip_prefix('{')
            .and_then(|head| head.strip_suffix('}'));
        let head = head.unwrap_or_default();
        let schema = schema_id(PlanRow::SCHEMA);
        let text = format!("{{\"schema\":\"{schema}\",{head},\"{}\":[", PlanRow::ITEMS);
        self.file.write(&text)
    }

    pub(crate) fn row(
        &mut self,
        planned: Planned,
        approval: Option<Approval>,
    ) -> Result<(), CliError> {
        let row = json(&PlanRow { planned, approval });
        let begin = if self.is_empty { "\n" } else { ",\n" };
        self.is_empty = false;
        self.file.write(begin)?;
        self.file.write(&row)
    }

    /// Ends the file, and returns its path.
    pub(crate) fn end(self, totals: &[Totals]) -> Result<PathBuf, CliError> {
        let totals = json(&totals);
        self.file.end(&format!("\n],\"totals\":{totals}}}\n"))?;
        Ok(self.path)
    }
}

/// Returns a value as JSON, in which no secret stands that this run knows.
fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    escaped_json(&json).into_owned()
}

/// Returns an end as it is written on a command line.
pub(crate) fn written(end: &End) -> String {
    match end {
        End::Archive(path) => format!("dir:{}", path.display()),
        end => end.to_string(),
    }
}

/// A plan that was read from a file.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) head: Head,
    /// What is approved, target by target.
    pub(crate) approved: Vec<Approved>,
}

impl ReadPlan {
    /// Reads a plan, or one share of it.
    pub(crate) fn of(path: &Path, shard: Option<Shard>) -> Result<Self, CliError> {
        let failed = |problem: String| CliError::PlanFile {
            path: path.to_owned(),
            problem,
        };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        read(BufReader::new(file), shard).map_err(failed)
    }
}

fn read(text: impl Read, shard: Option<Shard>) -> Result<ReadPlan, String> {
    let words = |error: serde_json::Error| {
        if error.is_eof() {
            return "it is cut short: make the plan again".to_owned();
        }
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        // Where it is no plan, the place says nothing.
        let about_all = text.strip_suffix(&place).filter(|_| error.is_data());
        let about_all = about_all.filter(|text| text.starts_with("it is "));
        about_all.unwrap_or(&text).to_owned()
    };
    let rows = RefCell::new(Rows::default());
    let mut json = serde_json::Deserializer::from_reader(text);
    let head = json.deserialize_map(Document(&rows)).map_err(words)?;
    json.end().map_err(words)?;
    let head: Head = serde_json::from_value(Value::Object(head))
        .map_err(|error| format!("it is no plan: {error}"))?;
    let Rows { targets, sizes } = rows.into_inner();
    let dealt = shard.map(|shard| deal(sizes, shard));
    // What leaves a target is judged as a whole, and so it is not divided.
    let is_first = shard.is_some_and(Shard::is_first);
    let mut approved = Vec::new();
    approved.resize_with(head.targets.len(), Approved::default);
    for ReadTarget { name, mut images } in targets {
        let number = head.targets.iter().position(|target| target.name == name);
        let place = number.and_then(|number| approved.get_mut(number));
        let place =
            place.ok_or_else(|| format!("it has images of {name}, which is no target of it"))?;
        if let Some(dealt) = &dealt {
            images.retain(|(id, approval)| match approval.removes() {
                true => is_first,
                false => dealt.contains(id),
            });
        }
        *place = Approved::new(images);
    }
    Ok(ReadPlan { head, approved })
}

/// The approved images of a target.
struct ReadTarget {
    name: String,
    images: Vec<(ImageId, Approval)>,
}

/// The approved images of a file, and the bytes that are to be copied of each.
#[derive(Default)]
struct Rows {
    targets: Vec<ReadTarget>,
    sizes: Vec<(ImageId, u64)>,
}

/// An image, as far as it is read.
#[derive(Deserialize)]
struct ReadRow {
    target: String,
    id: String,
    action: String,
    size: Option<u64>,
    approval: Option<Approval>,
}

/// Reads a document: its images into the rows, and all else into a map.
struct Document<'a>(&'a RefCell<Rows>);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let known = schema_id(PlanRow::SCHEMA);
        let mut head = Map::new();
        let mut is_known = false;
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "schema" => {
                    let schema: String = map.next_value()?;
                    is_known = schema == known;
                    let kind =
                        |schema: &str| schema.rsplit_once('/').map(|(kind, _)| kind.to_owned());
                    if kind(&schema) != kind(&known) {
                        let problem = format!("it is no plan, but a document of {schema:?}");
                        return Err(A::Error::custom(problem));
                    }
                    if !is_known {
                        return Err(A::Error::custom(format!(
                            "it is of the schema {schema:?}, and {known} is read here: make the plan \
                             again with this program"
                        )));
                    }
                }
                key if key == PlanRow::ITEMS => map.next_value_seed(Images(self.0))?,
                "totals" => drop(map.next_value::<IgnoredAny>()?),
                _ => drop(head.insert(key, map.next_value()?)),
            }
        }
        match is_known {
            true => Ok(head),
            false => Err(A::Error::custom("it is no plan: it names no schema")),
        }
    }
}

struct Images<'a>(&'a RefCell<Rows>);

impl<'de> DeserializeSeed<'de> for Images<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, images: D) -> Result<(), D::Error> {
        images.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Images<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the images of a plan")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut rows = self.0.borrow_mut();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        while let Some(row) = seq.next_element::<ReadRow>()? {
            let Some(approval) = row.approval else {
                continue;
            };
            let id = ImageId::parse(&row.id).map_err(A::Error::custom)?;
            if !approval.removes() {
                let size = row.size.filter(|_| row.action == "copy");
                rows.sizes.push((id, size.unwrap_or(0)));
            }
            let number = match numbers.get(&row.target) {
                Some(number) => *number,
                None => {
                    let number = rows.targets.len();
                    rows.targets.push(ReadTarget {
                        name: row.target.clone(),
                        images: Vec::new(),
                    });
                    numbers.insert(row.target, number);
                    number
                }
            };
            if let Some(target) = rows.targets.get_mut(number) {
                target.images.push((id, approval));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan of two images for one target, the one of which is refused.
    const PLAN: &str = r#"{"schema":"glance-replicator/plan/1","version":"0.1.0","made":"2026-01-01T00:00:01Z",
"source":{"end":"a:1","name":"http://a:1"},"targets":[{"end":"b:1","name":"http://b:1"}],
"options":["--owner=map"],"selection":{},"later":[1],"images":[
{"target":"http://b:1","id":"00000000-0000-4000-8000-000000000001","action":"copy","size":5,
"approval":{"work":"copy","content":"00000000000000000000000000000001","wanted":"00000000000000000000000000000002"}},
{"target":"http://b:1","id":"00000000-0000-4000-8000-000000000002","action":"fail","size":5,"approval":null}
],"totals":[]}
"#;

    fn problem(text: &str) -> String {
        read(text.as_bytes(), None).unwrap_err()
    }

    #[test]
    fn a_plan_is_read_whatever_its_layout_and_the_order_of_its_fields() {
        let value: Value = serde_json::from_str(PLAN).unwrap();
        let sorted = serde_json::to_string_pretty(&value).unwrap();
        for text in [PLAN, &sorted] {
            let plan = read(text.as_bytes(), None).unwrap();
            assert_eq!(plan.head.options, ["--owner=map"]);
            assert_eq!(plan.head.source.end, "a:1");
            let [approved] = &*plan.approved else {
                panic!("{plan:?}");
            };
            let ids: Vec<_> = approved.ids().map(|id| id.to_string()).collect();
            assert_eq!(ids, ["00000000-0000-4000-8000-000000000001"]);
        }
    }

    #[test]
    fn of_a_plan_that_is_cut_nothing_is_taken() {
        for len in 1..PLAN.trim_end().len() {
            let told = problem(&PLAN[..len]);
            assert!(told.contains("cut short"), "{len}: {told}");
        }
        assert!(problem("").contains("cut short"));
    }

    #[test]
    fn what_is_no_plan_of_this_version_is_told() {
        let newer = problem(&PLAN.replace("plan/1", "plan/2"));
        assert!(newer.contains("glance-replicator/plan/2"), "{newer}");
        assert!(
            newer.ends_with("make the plan again with this program"),
            "{newer}"
        );
        let other = problem(&PLAN.replace("plan/1", "verify/1"));
        assert_eq!(
            other,
            "it is no plan, but a document of \"glance-replicator/verify/1\""
        );
        for (from, to, says) in [
            ("\"schema\"", "\"scheme\"", "names no schema"),
            ("\"source\"", "\"sauce\"", "missing field `source`"),
            (
                "\"target\":\"http://b:1\"",
                "\"target\":\"http://c:1\"",
                "which is no target",
            ),
            ("8000-000000000001", "8000-1", "not an image id"),
            ("\"work\":\"copy\"", "\"work\":\"burn\"", "burn"),
            ("]}\n", "]} more", "trailing"),
        ] {
            let told = problem(&PLAN.replace(from, to));
            assert!(told.contains(says), "{told}");
        }
        assert!(problem("[1]").contains("invalid type"));
    }
}
