//! The program, run as users run it, against embedded Glances.

mod clouds;
mod cuts;
mod end_to_end;
mod exit_codes;
mod fan_out;
mod faults;
mod help;
mod hostile;
mod ids;
mod killed;
mod kit;
mod limits;
mod memory;
mod odd_images;
mod odd_records;
mod outages;
mod parity;
mod patience;
mod places;
mod records;
mod settings;
mod together;
mod usage;
mod verify;
