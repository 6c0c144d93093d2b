//! The topics of the help.

use super::columns::{table, wrapped};
use crate::exit_code;

/// The topic of all options, which is made of them.
pub(super) const OPTIONS: &str = "options";

/// A subject that concerns several commands.
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) text: fn() -> String,
}

pub(super) const TOPICS: [Topic; 2] = [
    Topic {
        name: "ends",
        about: "How servers, clouds and directories are written",
        text: || ENDS.to_owned(),
    },
    Topic {
        name: "exit-codes",
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
