//! The archive from outside: what it reads, writes and leaves behind.

mod access;
mod contract;
mod crash;
mod kit;
mod own_files;
mod python_archive;
