//! `list`: the images of an end.

mod sort;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use glance_model::{ImageMetadata, Visibility};
use replicator_core::{ImageSource, Side, list_images};
use serde::Serialize;
use serde_json::Value;

use self::sort::{Key, SortBy, Sortable, compare};
use super::select::select;
use crate::args::{OneEndArgs, SelectionArgs, heading};
use crate::ends::{self, Access, End, Ends, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Column, PROPERTY, Rendered, Row, Sink, bytes, column};

/// List the images of a server or a directory
///
/// They come by name as people order names, and of one name, the oldest first. The token
/// and the options of either side are used. As JSON, an image has all its fields.
#[derive(clap::Args, Debug)]
#[command(after_help = "  \
  glance-replicator list cloud:prod
  glance-replicator list --long --select visibility=public --sort size:desc dir:/backup/images
  glance-replicator list cloud:prod -f value --column id --select 'size>10G'")]
pub(crate) struct ListArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    ///
    /// Without it, the cloud of --os-cloud or of the variable OS_CLOUD.
    #[arg(value_name = "END")]
    end: Option<OsString>,
    /// Print all columns, also those of tags, checksums, minima and properties
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::OUTPUT)]
    long: bool,
    /// Column to sort by, as size:desc; id needs no memory
    ///
    /// May be given more than once: of images that are equal by the first one, the next
    /// one counts. What has no value comes last. Names are ordered as people do it:
    /// capitals do not matter, and 9 comes before 10. By id, images are printed as they
    /// are listed, in a table at the end. property:NAME is an additional property.
    #[arg(long, value_name = "KEY[:desc]", value_delimiter = ',')]
    #[arg(help_heading = heading::OUTPUT)]
    sort: Vec<String>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    one: OneEndArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<Listed>,
    sort: Vec<SortBy>,
    access: Access,
    pub(super) end: End,
}

pub(super) fn asked(run: &Run<'_>, args: &ListArgs) -> Result<Asked, CliError> {
    let sink = Sink::of(&run.common.output, &run.console, args.long)?;
    let sort = args.sort.iter().map(|text| SortBy::parse::<Listed>(text));
    let sort = sort.collect::<Result<_, _>>()?;
    let access = Access::new(run, Side::Target, &args.one)?;
    let access = access.listing_all(args.selection.lists_all());
    let (_, end) = Ends::new(&args.end, &run.env).only(args.one.cloud())?;
    Ok(Asked {
        sink,
        sort,
        access,
        end,
    })
}

pub(super) async fn run(run: &Run<'_>, args: &ListArgs) -> Result<ExitCode, CliError> {
    let Asked {
        mut sink,
        mut sort,
        access,
        end,
    } = asked(run, args)?;
    let is_as_listed = matches!(&*sort, [first, ..] if first.is_by_id());
    // They are listed by their ids, which is the order of those that are equal otherwise.
    sort.extend(["name", "created"].map(SortBy::ascending));
    let end = ends::target(run, &access, &end, None, Opening::Read, None).await?;
    let name = end.name();
    let mut images: Arc<dyn ImageSource> = Arc::clone(&end.end.images) as _;
    let selected = select(run, &args.selection, &mut images, end.details()).await?;
    let images = &*images;
    let mut list = list_images(&run.ctx, images, &selected.selection);
    let (mut rows, mut count) = (Vec::new(), 0);
    loop {
        let next = list.next().await;
        let next = next.map_err(|error| run.not_listed(&name, error))?;
        let Some(image) = next else { break };
        count += 1;
        let row = Listed::from(image);
        if is_as_listed {
            sink.row(&row)?;
        } else {
            let keys = sort.iter().map(|by| row.key(by.column)).collect();
            let row = sink.render(&row);
            rows.push(Kept { keys, row });
        }
    }
    rows.sort_by(|a, b| compare(&sort, &a.keys, &b.keys));
    rows.into_iter().try_for_each(|kept| sink.write(kept.row))?;
    let code = selected.tell(run, images, list.selected()).await?;
    sink.end(&Rest {
        end: name,
        totals: Totals {
            images: count,
            unusable: list.failed(),
        },
    })?;
    if let Some(summary) = selected.summary(list.selected()) {
        run.console.summary(&summary);
    }
    Ok(match list.failed() {
        0 => code,
        _ => ExitCode::ImagesFailed,
    })
}

/// An image that waits for its place among all of an end, in little memory.
struct Kept {
    keys: Box<[Key]>,
    row: Rendered,
}

/// An image of an end.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    id: String,
    name: Option<String>,
    status: String,
    /// public, community, shared or private; v1 alone tells no more than public and not public.
    visibility: Option<&'static str>,
    /// The project that the image belongs to.
    owner: Option<String>,
    /// The length of its data.
    size: Option<u64>,
    disk_format: Option<String>,
    container_format: Option<String>,
    /// The time of its creation, in RFC 3339.
    created: Option<String>,
    /// The time of its last change, in RFC 3339.
    updated: Option<String>,
    tags: BTreeSet<String>,
    /// Whether listings leave it out.
    hidden: Option<bool>,
    protected: Option<bool>,
    /// The least size of a disk, in GiB.
    min_disk: Option<u64>,
    /// The least memory, in MiB.
    min_ram: Option<u64>,
    virtual_size: Option<u64>,
    /// The MD5 of its data.
    checksum: Option<String>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
    /// Its additional properties.
    properties: BTreeMap<String, Value>,
}

impl From<ImageMetadata> for Listed {
    fn from(image: ImageMetadata) -> Self {
        let texts = image.properties.into_iter();
        let texts = texts.map(|(name, text)| (name, Value::String(text)));
        let nulls = image.null_properties.into_iter();
        let nulls = nulls.map(|name| (name, Value::Null));
        Self {
            id: image.id.to_string(),
            name: image.name,
            status: image.status.to_string(),
            visibility: image.visibility.map(Visibility::as_str),
            owner: image.owner,
            size: image.size,
            disk_format: image.disk_format,
            container_format: image.container_format,
            created: image.created_at,
            updated: image.updated_at,
            tags: image.tags,
            hidden: image.hidden,
            protected: image.protected,
            min_disk: image.min_disk,
            min_ram: image.min_ram,
            virtual_size: image.virtual_size,
            checksum: image.checksum,
            os_hash_algo: image.hash_algo,
            os_hash_value: image.hash_value,
            properties: texts.chain(nulls).chain(image.other).collect(),
        }
    }
}

impl Row for Listed {
    const SCHEMA: &'static str = "list/1";
    const ITEMS: &'static str = "images";
    const COLUMNS: &'static [Column] = &[
        column("id"),
        column("name"),
        column("status"),
        column("visibility"),
        column("owner"),
        bytes("size"),
        column("disk_format"),
        column("container_format"),
        column("created"),
        column("updated").long(),
        column("tags").long(),
        column("hidden").long(),
        column("protected").long(),
        column("min_disk").long(),
        column("min_ram").long(),
        bytes("virtual_size").long(),
        column("checksum").long(),
        column("os_hash_algo").long(),
        column("os_hash_value").long(),
        column("properties").long(),
    ];
    const IS_TABLE: bool = true;
    const HAS_PROPERTIES: bool = true;

    fn property(&self, name: &str) -> Value {
        self.properties.get(name).cloned().unwrap_or_default()
    }
}

impl Sortable for Listed {
    fn key(&self, column: &str) -> Key {
        let number = |number: Option<u64>| number.map_or(Key::Nothing, Key::Number);
        let flag = |flag: Option<bool>| number(flag.map(u64::from));
        match column {
            "id" => Key::text(Some(&self.id)),
            "name" => Key::text(self.name.as_deref()),
            "status" => Key::text(Some(&self.status)),
            "visibility" => Key::text(self.visibility),
            "owner" => Key::text(self.owner.as_deref()),
            "size" => number(self.size),
            "disk_format" => Key::text(self.disk_format.as_deref()),
            "container_format" => Key::text(self.container_format.as_deref()),
            "created" => Key::text(self.created.as_deref()),
            "updated" => Key::text(self.updated.as_deref()),
            "tags" => Key::Number(self.tags.len() as u64),
            "hidden" => flag(self.hidden),
            "protected" => flag(self.protected),
            "min_disk" => number(self.min_disk),
            "min_ram" => number(self.min_ram),
            "virtual_size" => number(self.virtual_size),
            "checksum" => Key::text(self.checksum.as_deref()),
            "os_hash_algo" => Key::text(self.os_hash_algo.as_deref()),
            "os_hash_value" => Key::text(self.os_hash_value.as_deref()),
            column => {
                let name = column.strip_prefix(PROPERTY);
                let value = name.and_then(|name| self.properties.get(name));
                Key::text(value.and_then(Value::as_str))
            }
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    end: String,
    totals: Totals,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    images: u64,
    /// The number of images that are left out, since what the end says of them cannot be used.
    unusable: u64,
}
