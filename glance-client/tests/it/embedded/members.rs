//! The projects that an image is shared with: who may do what, as the real servers have it.

use glance_client::testing::{Caller, EmbeddedGlance, Profile};
use serde_json::{Value, json};

use super::{Lab, active, json_of};
use crate::kit::{ONE, TWO};

/// An image of alpha for alice, which is shared with beta, bob's project.
fn lab() -> Lab {
    let builder = EmbeddedGlance::builder()
        .token("admin", Caller::admin())
        .token("alice", Caller::member("alpha"))
        .token("bob", Caller::member("beta"));
    let lab = Lab::new(builder);
    let image = active(ONE).owner("alpha").member("beta", "pending");
    lab.glance.add_image(image.member("gamma", "accepted"));
    lab
}

/// Sends a request about members, and returns its status and body.
async fn send(lab: &Lab, token: &str, method: &str, rest: &str, body: Value) -> (u16, Value) {
    let path = format!("/v2/images/{ONE}/members{rest}");
    let request = lab.request(method, &path).header("x-auth-token", token);
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn statuses(lab: &Lab, token: &str) -> Vec<String> {
    let (_, body) = send(lab, token, "GET", "", Value::Null).await;
    let members = body["members"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let members = members.map(|m| format!("{} {}", text(&m["member_id"]), text(&m["status"])));
    members.collect()
}

#[tokio::test]
async fn who_may_do_what_with_members() {
    for (token, add, list, accept, remove) in [
        ("alice", 200, 2, 403, 204),
        ("admin", 200, 2, 200, 204),
        ("bob", 403, 1, 200, 403),
    ] {
        let lab = lab();
        let listed = statuses(&lab, token).await.len();
        assert_eq!(listed, list, "{token}");
        let new = json!({"member": "delta", "status": "accepted"});
        let (status, body) = send(&lab, token, "POST", "", new).await;
        assert_eq!(status, add, "{token}");
        if add == 200 {
            assert_eq!(body["status"], "pending", "whatever is asked for");
        }
        let accepted = json!({"status": "accepted"});
        let (status, _) = send(&lab, token, "PUT", "/beta", accepted).await;
        assert_eq!(status, accept, "{token}");
        let (status, _) = send(&lab, token, "DELETE", "/gamma", Value::Null).await;
        assert_eq!(status, remove, "{token}");
    }
}

#[tokio::test]
async fn members_are_neither_checked_nor_doubled_and_at_most_128() {
    let lab = lab();
    let add = async |member: &str| {
        let body = json!({ "member": member });
        send(&lab, "alice", "POST", "", body).await.0
    };
    assert_eq!(add("gamma").await, 409);
    assert_eq!(add("not an id").await, 200);
    assert_eq!(statuses(&lab, "alice").await[1], "gamma accepted");
    for n in 3..128 {
        assert_eq!(add(&format!("p{n}")).await, 200);
    }
    assert_eq!(add("one more").await, 413);
    let remove = send(&lab, "alice", "DELETE", "/gamma", Value::Null).await;
    assert_eq!(remove.0, 204);
    assert_eq!(add("gamma").await, 200);
    let all = statuses(&lab, "alice").await;
    assert!(all.contains(&"gamma pending".to_owned()), "{all:?}");
}

#[tokio::test]
async fn members_sleep_while_an_image_is_not_shared() {
    let lab = lab();
    let before = statuses(&lab, "alice").await;
    let be = async |visibility: &str| {
        let change = json!([{"op": "replace", "path": "/visibility", "value": visibility}]);
        let request = lab.request("PATCH", &format!("/v2/images/{ONE}"));
        let request = request
            .header("x-auth-token", "admin")
            .header("content-type", super::PATCH_TYPE);
        let answer = request.body(change.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    for visibility in ["private", "community", "public"] {
        be(visibility).await;
        for (method, rest, body) in [
            ("GET", "", Value::Null),
            ("POST", "", json!({"member": "delta"})),
            ("PUT", "/beta", json!({"status": "accepted"})),
            ("DELETE", "/beta", Value::Null),
        ] {
            let (status, body) = send(&lab, "admin", method, rest, body).await;
            assert_eq!(status, 403, "{visibility} {method}");
            assert!(body.to_string().contains("Only shared images have members"));
        }
    }
    be("shared").await;
    assert_eq!(statuses(&lab, "alice").await, before);
}

#[tokio::test]
async fn v1_shares_images_of_any_visibility_and_knows_no_status() {
    let lab = Lab::new(EmbeddedGlance::builder().profile(Profile::Legacy));
    lab.glance.add_image(active(ONE).visibility("public"));
    lab.glance
        .add_image(active(TWO).member("gamma", "accepted"));
    for id in [ONE, TWO] {
        let path = format!("/v1/images/{id}/members/beta");
        assert_eq!(lab.status("PUT", &path).await, 204);
    }
    let of = async |path: String, list: &str, field: &str| {
        let body = lab.get_json(&path).await;
        let entries = body[list].as_array().unwrap().iter();
        let texts = entries.map(|entry| entry[field].as_str().unwrap().to_owned());
        texts.collect::<Vec<_>>()
    };
    let members =
        async |id: &str| of(format!("/v1/images/{id}/members"), "members", "member_id").await;
    let shared = async |project: &str| {
        of(
            format!("/v1/shared-images/{project}"),
            "shared_images",
            "image_id",
        )
        .await
    };
    assert_eq!(members(TWO).await, ["beta", "gamma"]);
    assert_eq!(shared("beta").await, [ONE, TWO]);
    assert_eq!(shared("gamma").await, [TWO]);
    let all = json!({"memberships": [{"member_id": "delta"}, {"member_id": "gamma"}]});
    let replace = lab.request("PUT", &format!("/v1/images/{TWO}/members"));
    let replaced = replace.body(all.to_string()).send().await.unwrap();
    assert_eq!(replaced.status(), 204);
    assert_eq!(members(TWO).await, ["delta", "gamma"]);
    let request = lab.request("GET", &format!("/v2/images/{TWO}/members"));
    let body = json_of(request.send().await.unwrap()).await;
    assert_eq!(body["members"][0]["status"], "pending");
    assert_eq!(body["members"][1]["status"], "accepted", "it stays");
    let path = format!("/v1/images/{TWO}/members/delta");
    assert_eq!(lab.status("DELETE", &path).await, 204);
    assert_eq!(shared("delta").await, [""; 0]);
}
