//! The names of the metrics that commands write.

use jiff::Timestamp;

use crate::ui::{Gauge, Metrics};

/// The time of the last run that went well, by command, source and target.
pub(super) const LAST_SUCCESS: Gauge = Gauge {
    name: "glance_replicator_last_success_timestamp_seconds",
    help: "Time of the last run that did all that was asked of it, in seconds since 1970.",
};

/// A gauge with this name and meaning.
pub(super) const fn gauge(name: &'static str, help: &'static str) -> Gauge {
    Gauge { name, help }
}

/// Notes that a run has gone well at a target.
pub(super) fn succeeded(metrics: &mut Metrics, command: &str, source: &str, target: &str) {
    let labels = [("command", command), ("source", source), ("target", target)];
    metrics.add(LAST_SUCCESS, &labels, Timestamp::now().as_second());
}
