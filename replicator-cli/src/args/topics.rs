//! The topics of the help.

use super::columns::{table, wrapped};
use crate::exit_code;

/// The topic of all options, which is made of them.
pub(super) const OPTIONS: &str = "options";
/// The topic of the exit codes.
pub(super) const EXIT_CODES: &str = "exit-codes";

/// A subject that concerns several commands.
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) text: fn() -> String,
}

pub(super) const TOPICS: [Topic; 3] = [
    Topic {
        name: "ends",
        about: "How servers, clouds and directories are written",
        text: || ENDS.to_owned(),
    },
    Topic {
        name: "selection",
        about: "Which images are meant: names, tests, the newest",
        text: || SELECTION.to_owned(),
    },
    Topic {
        name: EXIT_CODES,
        about: "What each exit code means, and which one counts",
        text: exit_codes,
    },
];

fn exit_codes() -> String {
    let (rows, order) = exit_code::table();
    let mut text = String::new();
    table(&mut text, "Exit codes", rows);
    format!("{}\n{}", text.trim_start(), wrapped(order, 0))
}

const ENDS: &str = "\
An end is what images are read from or written to: a Glance server, or a directory.

  cloud:NAME             a cloud of clouds.yaml: signed in with Keystone, the address of Glance taken
                         from its catalog
  cloud:NAME/REGION      one of its regions
  env:                   the cloud that the variables OS_AUTH_URL, OS_USERNAME and so on describe
  HOST:PORT              plain HTTP, as the Python tool has it
  https://HOST[:PORT]    that address; http:// as well, and a path may follow
  dir:PATH               a directory that images were dumped into (an archive)

`dump` and `load` take the path of their directory with or without dir:. A name that is written like
a server is never taken for a directory: write ./NAME or dir:NAME for one that is called so.

An option can name the cloud in place of an end that is written out: --os-cloud NAME where there is one
server (check, size, dump, load), else --source-os-cloud and --target-os-cloud. check and size without
any end take the cloud of OS_CLOUD, and the token, region and other options of either side.

clouds.yaml is looked for in the working directory, ~/.config/openstack and /etc/openstack; the first
one counts. OS_CLIENT_CONFIG_FILE names another one. `glance-replicator check END` shows what an end
is, and as whom one is signed in there.

A server that is named by its address takes a token, best in GLANCE_REPLICATOR_TOKEN, or one for each
side in GLANCE_REPLICATOR_SOURCETOKEN and GLANCE_REPLICATOR_TARGETTOKEN. To see the images of all
projects, it takes an administrator's.

A directory to read from has to hold images. One with other files is an error, and so is an empty one
without --allow-empty, since its disk may not be mounted. The same end on both sides is an error.
";

const SELECTION: &str = r#"All images of the source are meant, unless something is selected. An image is selected if it is named
(by any of --image and --images-from, where these are given), passes every --select and no --exclude.

  --image 6d55dd55-053a-4765-b7bc-b30df0ea3861     by its id
  --image debian-13                                all images of that name
  --images-from ids.txt                            by ids, one a line; - is stdin
  --select 'status=active'                         KEY OPERATOR VALUE, the better in quotes
  --exclude 'name=snap-*,tmp-*'                    several values: any of them
  --newest 2 --per name                            then: the newest two of each name
  --shard 2/8                                      then: the 2nd of 8 shares, for several machines

  key                                    operators             values
  id name owner tag                      = !=                  texts, with * ? [a-z] {a,b}
  status visibility                      = !=                  active, public ... or a pattern
  disk_format container_format           = !=                  texts, as above
  property:NAME                          = !=, or none         as above; none: the image has it
  hidden protected                       = !=, or none         true, false; none: true
  size min_disk min_ram                  = != < <= > >=        bytes, GiB, MiB; or 10G, 512M ...
  created updated                        = != < <= > >=        2026-11-01T12:00:00Z, 2026-11-01, 30d

A text in quotes has no patterns: --select 'name="50% *"'. Letter case counts. owner=mine is the project
that one has signed in to at the source. 30d (or 12h, 2w) is the time 30 days ago, so that 'created>=30d' is
what was made since. A date is its whole day in UTC. An image without such a value passes != alone.

`list` with the same options shows what is selected. The result says how many there were: `5 of 17 selected`,
or `5 selected` where the server has left out the others by itself. That none was is a warning, and with
--error-on-nothing an error.
"#;
