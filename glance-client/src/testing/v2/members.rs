//! The projects that an image is shared with, in v2.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::reply::{Reply, Stop, refuse};
use super::super::state::{StoredImage, known, show_seconds};

/// The most members of an image (`image_member_quota`).
const QUOTA: usize = 128;

const STATUSES: [&str; 3] = ["pending", "accepted", "rejected"];

/// Lets nobody, not even an admin, at the members of an image that is not shared. They stay.
fn check_shared(image: &StoredImage) -> Result<(), Stop> {
    match image.visibility {
        "shared" => Ok(()),
        _ => refuse(
            403,
            format!(
                "Not allowed to list members for image {}: Only shared images have members.",
                image.id
            ),
        ),
    }
}

fn denied<T>(action: &str) -> Result<T, Stop> {
    refuse(
        403,
        format!("You are not authorized to complete {action} action."),
    )
}

/// Lists all members, to one who is none but a member only that one.
pub(super) fn list(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_visible(id, |image| {
        check_shared(image)?;
        let visible = image.members.iter().filter(|(project, _)| {
            let caller = &call.caller;
            caller.admin || caller.owns(image) || caller.project.as_ref() == Some(*project)
        });
        let members: Vec<_> = visible
            .map(|(project, status)| member(image, project, status))
            .collect();
        Ok(Reply::json(
            200,
            &json!({ "members": members, "schema": "/v2/schemas/members" }),
        ))
    })
}

/// Adds a member, always as `pending`. That there is such a project is not checked.
pub(super) async fn add(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    let Some(project) = body.get("member").and_then(Value::as_str) else {
        return refuse(400, "Expected a 'member' attribute in request body.");
    };
    call.check_changeable(id, "add_member")?;
    change(call, id, |image| {
        if image.members.contains_key(project) {
            return refuse(
                409,
                format!("Member {project} is duplicated for image {id}"),
            );
        }
        if image.members.len() >= QUOTA {
            let attempted = image.members.len() + 1;
            return refuse(
                413,
                format!(
                    "The limit has been exceeded on the number of allowed image members for this \
                     image. Attempted: {attempted}, Maximum: {QUOTA}"
                ),
            );
        }
        let status = "pending".to_owned();
        image.members.insert(project.to_owned(), status);
        Ok(Reply::json(200, &member(image, project, "pending")))
    })
}

/// Sets the status of a member, which the member may do, and an admin, but not the owner.
pub(super) async fn set_status(call: &mut Call, id: &str, project: &str) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    let status = body.get("status").and_then(Value::as_str);
    let Some(status) = status.and_then(|status| known(&STATUSES, status)) else {
        return refuse(400, "Expected a status of a member in request body.");
    };
    call.with_visible(id, check_shared)?;
    let is_its_own = call.caller.project.as_deref() == Some(project) && !call.caller.reader;
    if !call.caller.admin && !is_its_own {
        return denied("modify_member");
    }
    change(call, id, |image| {
        let Some(place) = image.members.get_mut(project) else {
            return no_member(id, project);
        };
        status.clone_into(place);
        Ok(Reply::json(200, &member(image, project, status)))
    })
}

pub(super) fn remove(call: &Call, id: &str, project: &str) -> Result<Reply, Stop> {
    call.check_changeable(id, "delete_member")?;
    change(call, id, |image| match image.members.remove(project) {
        Some(_) => Ok(Reply::empty(204)),
        None => no_member(id, project),
    })
}

fn no_member<T>(id: &str, project: &str) -> Result<T, Stop> {
    refuse(
        404,
        format!("{project} not found in the member list of the image {id}."),
    )
}

/// Changes an image that is visible and shared.
fn change(
    call: &Call,
    id: &str,
    change: impl FnOnce(&mut StoredImage) -> Result<Reply, Stop>,
) -> Result<Reply, Stop> {
    call.with_visible(id, check_shared)?;
    match call.state().images.get_mut(id) {
        Some(image) => change(image),
        None => refuse(404, format!("No image found with ID {id}")),
    }
}

fn member(image: &StoredImage, project: &str, status: &str) -> Value {
    let time = show_seconds(image.created_at);
    json!({
        "member_id": project, "image_id": image.id, "status": status, "schema": "/v2/schemas/member",
        "created_at": time, "updated_at": time,
    })
}
