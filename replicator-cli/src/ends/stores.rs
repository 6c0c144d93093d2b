//! The stores of a target: which of them were chosen, and whether it has them.

use futures_util::future::try_join;
use glance_client::{GlanceClient, Store, StoreChoice};

use crate::args::{CopyTo, StoreArgs};
use crate::error::CliError;
use crate::run::Run;

/// Asks a target for its stores, before any data moves to those that were chosen. A dry run tells
/// which there are.
pub(super) async fn chosen(
    run: &Run<'_>,
    client: &GlanceClient,
    args: &StoreArgs,
    tells: bool,
) -> Result<StoreChoice, CliError> {
    if !args.is_given() {
        return Ok(StoreChoice::default());
    }
    let asked = try_join(client.stores(), client.import_methods());
    let asked = run.ctx.until_cancelled(asked).await;
    let asked: Result<_, glance_client::Error> = asked.map_err(|_| run.interrupted())?;
    let end = client.endpoint().to_string();
    let (stores, methods) = asked.map_err(|source| CliError::Connect {
        endpoint: end.clone(),
        source,
    })?;
    let stores = stores.unwrap_or_default();
    if tells {
        let names: Vec<String> = stores.iter().map(described).collect();
        let note = format!("{end} has the stores {}", names.join(", "));
        run.console.note(&note);
    }
    let copies_images = methods
        .unwrap_or_default()
        .iter()
        .any(|m| m == "copy-image");
    choose(&stores, copies_images, args).map_err(|problem| CliError::Stores { end, problem })
}

/// Returns the words for a store.
pub(crate) fn described(store: &Store) -> String {
    let default = if store.is_default { " (default)" } else { "" };
    let read_only = if store.is_read_only {
        " (read-only)"
    } else {
        ""
    };
    format!("{}{default}{read_only}", store.id)
}

fn choose(stores: &[Store], copies_images: bool, args: &StoreArgs) -> Result<StoreChoice, String> {
    if stores.is_empty() {
        return Err("it names no stores, so that none can be chosen".to_owned());
    }
    let writable = |name: &String| match stores.iter().find(|store| store.id == *name) {
        Some(store) if store.is_read_only => Err(format!("its store {name} is read-only")),
        Some(_) => Ok(name.clone()),
        None => {
            let names: Vec<&str> = stores.iter().map(|store| &*store.id).collect();
            let names = names.join(", ");
            Err(format!("it has no store {name}, but {names}"))
        }
    };
    let choice = StoreChoice {
        upload: args.store.as_ref().map(writable).transpose()?,
        copies: match args.copy_to() {
            CopyTo::These(names) => names.iter().map(writable).collect::<Result<_, _>>()?,
            CopyTo::All => {
                let all = stores.iter().filter(|store| !store.is_read_only);
                all.map(|store| store.id.clone()).collect()
            }
        },
    };
    if !choice.copies.is_empty() && !copies_images {
        return Err(
            "it does not copy images to other stores: its import methods are without copy-image"
                .to_owned(),
        );
    }
    Ok(choice)
}
