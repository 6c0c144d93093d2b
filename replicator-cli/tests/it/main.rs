//! The program, run as users run it, against embedded Glances.

mod archives;
mod clouds;
mod cuts;
mod exit_codes;
mod fan_out;
mod faults;
mod help;
mod hostile;
mod ids;
mod killed;
mod kit;
mod limits;
mod livecopy;
mod memory;
mod odd_images;
mod odd_records;
mod outages;
mod parity;
mod patience;
mod places;
mod records;
mod settings;
mod signals;
mod together;
mod usage;
mod verify;
