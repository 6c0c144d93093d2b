//! With which projects an image is shared, in v2.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::reply::{Reply, Stop, refuse};
use super::super::state::{StoredImage, show_seconds};

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

pub(super) fn list(call: &Call, id: &str) -> Result<Reply, Stop> {
    call.with_visible(id, |image| {
        check_shared(image)?;
        let visible = image.members.iter().filter(|(project, _)| {
            call.caller.may_change(image) || call.caller.project.as_ref() == Some(*project)
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

pub(super) async fn add(call: &mut Call, id: &str) -> Result<Reply, Stop> {
    let body = call.read_json().await?;
    let Some(project) = body.get("member").and_then(Value::as_str) else {
        return refuse(400, "Expected a 'member' attribute in request body.");
    };
    call.check_changeable(id, "add_member")?;
    call.with_visible(id, check_shared)?;
    let mut state = call.state();
    let Some(image) = state.images.get_mut(id) else {
        return refuse(404, format!("No image found with ID {id}"));
    };
    if image.members.contains_key(project) {
        return refuse(
            409,
            format!("Member {project} is duplicated for image {id}"),
        );
    }
    image
        .members
        .insert(project.to_owned(), "pending".to_owned());
    Ok(Reply::json(200, &member(image, project, "pending")))
}

fn member(image: &StoredImage, project: &str, status: &str) -> Value {
    let time = show_seconds(image.created_at);
    json!({
        "member_id": project, "image_id": image.id, "status": status, "schema": "/v2/schemas/member",
        "created_at": time, "updated_at": time,
    })
}
