//! The failures of a server, as the ports of replicator-core tell them apart.

use glance_model::ImageId;
use replicator_core::{FailureKind, Operation, PortError};

use crate::{Error, ErrorKind};

/// Converts an error into what a use case can do about it.
pub(crate) fn port_error(error: Error, operation: Operation) -> PortError {
    let kind = match error.kind() {
        ErrorKind::NotFound => match operation_id(&operation) {
            Some(id) => return PortError::NotFound { id: *id },
            None => FailureKind::Unusable,
        },
        ErrorKind::DuplicateId => match operation_id(&operation) {
            Some(id) => return PortError::AlreadyExists { id: *id },
            None => FailureKind::Refused,
        },
        ErrorKind::UploadSource => return of_source(error, operation),
        ErrorKind::BadRecord => match error.into_source().map(|source| source.downcast()) {
            Some(Ok(bad)) => return PortError::BadRecord(bad),
            source => {
                let source = source.and_then(Result::err);
                let source = source.unwrap_or_else(|| "a record cannot be used".into());
                return PortError::adapter(operation, FailureKind::Refused, source);
            }
        },
        ErrorKind::Unanswered => FailureKind::Unanswered,
        _ if error.is_transient() => FailureKind::Transient {
            retry_after: error.retry_after(),
        },
        ErrorKind::Unauthorized | ErrorKind::Forbidden => FailureKind::Denied,
        // The answer about one image says nothing of the others.
        ErrorKind::NotGlance
        | ErrorKind::InvalidAnswer
        | ErrorKind::TooLong
        | ErrorKind::Server
            if operation == Operation::ListImages =>
        {
            FailureKind::Unusable
        }
        _ => FailureKind::Refused,
    };
    PortError::adapter(operation, kind, error)
}

/// The data came from another port, which has said what is wrong with it.
fn of_source(error: Error, operation: Operation) -> PortError {
    let kind = FailureKind::Transient { retry_after: None };
    match error
        .into_source()
        .map(|source| source.downcast::<PortError>())
    {
        Some(Ok(error)) => *error,
        Some(Err(source)) => PortError::adapter(operation, kind, source),
        None => PortError::adapter(operation, kind, "the image data could not be read"),
    }
}

fn operation_id(operation: &Operation) -> Option<&ImageId> {
    match operation {
        Operation::FindImage(id)
        | Operation::ReadData(id)
        | Operation::CreateImage(id)
        | Operation::WriteData(id)
        | Operation::ReadMembers(id)
        | Operation::UpdateMetadata(id)
        | Operation::DeleteImage(id)
        | Operation::CopyToStores(id) => Some(id),
        _ => None,
    }
}
