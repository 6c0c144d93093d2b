//! Between the regions of two clouds, with Keystone and TLS. No other test may use their servers:
//! these run at the same time as those of the servers without a Keystone (`.config/nextest.toml`).

mod book;
mod clouds;
mod member;
mod metadefs;
mod owners;
mod stores;
mod tls;
mod tokens;
