//! The manual pages: of the same grammar as the help, with every option in full.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{help, topics};
use crate::exit_code;

/// A manual page, of section 1.
pub(crate) struct Page {
    pub(crate) file: String,
    pub(crate) text: Vec<u8>,
}

/// Returns the page of the program and one for each command.
pub(crate) fn pages(mut grammar: Command) -> io::Result<Vec<Page>> {
    // The options of all commands become those of each.
    grammar.build();
    let mut pages = vec![program(&grammar)?];
    for command in help::shown(&grammar) {
        pages.push(page(command, |_| {})?);
    }
    Ok(pages)
}

fn program(grammar: &Command) -> io::Result<Page> {
    page(grammar, |roff| {
        roff.control("SH", ["COMMANDS"]);
        for command in help::shown(grammar) {
            let about = command.get_about().map(ToString::to_string);
            item(roff, command.get_name(), &about.unwrap_or_default());
        }
        for topic in topics::TOPICS {
            // The exit codes have their own section on each page.
            if topic.name != topics::EXIT_CODES {
                roff.control("SH", [topic.name.to_uppercase().as_str()]);
                as_it_is(roff, &(topic.text)());
            }
        }
    })
}

fn page(command: &Command, between: impl FnOnce(&mut Roff)) -> io::Result<Page> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let name = name.replace(' ', "-");
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(command.clone().override_usage(usage));
    let man = man.title(name.to_uppercase()).manual("OpenStack images");
    let man = man.source(format!("glance-replicator {}", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    let mut roff = Roff::new();
    between(&mut roff);
    roff.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    end(command, &name).to_writer(&mut text)?;
    let file = format!("{name}.1");
    Ok(Page { file, text })
}

fn end(command: &Command, name: &str) -> Roff {
    let mut roff = Roff::new();
    if let Some(examples) = command.get_after_help() {
        roff.control("SH", ["EXAMPLES"]);
        as_it_is(&mut roff, &examples.to_string());
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, about) in help::ENVIRONMENT {
        item(&mut roff, name, about);
    }
    roff.control("SH", ["EXIT STATUS"]);
    let (rows, order) = exit_code::table();
    for (code, about) in rows {
        item(&mut roff, &code, &about);
    }
    roff.control("PP", []);
    roff.text([roman(order)]);
    if name != "glance-replicator" {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("glance-replicator"), roman("(1)")]);
    }
    roff
}

fn item(roff: &mut Roff, name: &str, about: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(about)]);
}

/// Lines that are not filled.
fn as_it_is(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}
