//! Listings: their order, and what each caller may see.

use glance_client::testing::{Caller, EmbeddedGlance, ImageSpec, Profile};
use serde_json::{Value, json};

use super::{Lab, active, json_of};
use crate::kit::{ONE, THREE, TWO};

#[tokio::test]
async fn pages_are_small_by_id_in_byte_order_and_end_without_next() {
    let lab = Lab::today();
    for id in [THREE, ONE, TWO, "AAAAAAAA-1111-4111-8111-111111111111"] {
        lab.glance.add_image(active(id));
    }
    let first = lab.get_json("/v2/images?sort=id:asc&limit=1000").await;
    assert_eq!(first["images"].as_array().unwrap().len(), 2);
    assert!(
        first["next"]
            .as_str()
            .unwrap()
            .ends_with(&format!("marker={TWO}"))
    );
    let second = lab
        .get_json(&format!("/v2/images?sort=id:asc&marker={TWO}"))
        .await;
    assert_eq!(
        second["images"][1]["id"],
        "AAAAAAAA-1111-4111-8111-111111111111"
    );
    let third = lab
        .get_json("/v2/images?sort=id:asc&marker=AAAAAAAA-1111-4111-8111-111111111111")
        .await;
    assert_eq!(third["images"], json!([]));
    assert!(third.get("next").is_none(), "{third}");
    assert_eq!(
        lab.ids("/v2/images").await[0],
        "AAAAAAAA-1111-4111-8111-111111111111",
        "newest first"
    );
    for bad in [
        "marker=nope",
        "limit=-1",
        "limit=x",
        "sort=shoe:asc",
        "sort=id:up",
        "visibility=some",
        "changes-since=1",
    ] {
        assert_eq!(
            lab.status("GET", &format!("/v2/images?{bad}")).await,
            400,
            "{bad}"
        );
    }
    assert_eq!(
        lab.ids("/v2/images?is_public=none").await,
        [""; 0],
        "unknown names are property filters"
    );
}

#[tokio::test]
async fn a_marker_that_was_deleted_serves_admins_and_v1() {
    let admin = || EmbeddedGlance::builder().token("admin", Caller::admin());
    let lab = Lab::new(
        admin()
            .token("member", Caller::member("alpha"))
            .profile(Profile::Legacy),
    );
    for id in [ONE, TWO, THREE] {
        lab.glance.add_image(active(id).owner("alpha"));
    }
    lab.glance.burn(TWO);
    let unknown = "44444444-1111-4111-8111-111111111111";
    for (token, path, status) in [
        ("member", format!("/v2/images?marker={TWO}"), 400),
        ("admin", format!("/v2/images?marker={TWO}"), 200),
        ("admin", format!("/v2/images?marker={unknown}"), 400),
        ("member", format!("/v1/images/detail?marker={TWO}"), 200),
        ("admin", format!("/v1/images/detail?marker={unknown}"), 400),
        ("admin", "/v1/images/detail?marker=".to_owned(), 400),
    ] {
        let found = lab.status_as(token, "GET", &path).await;
        assert_eq!(found, status, "{token} {path}");
    }
    let path = format!("/v1/images/detail?is_public=None&sort_key=id&sort_dir=asc&marker={TWO}");
    let request = lab.request("GET", &path).header("x-auth-token", "admin");
    let page = json_of(request.send().await.unwrap()).await;
    assert_eq!(
        (&page["images"][0]["id"], &page["images"][1]),
        (&json!(THREE), &Value::Null)
    );
}

#[tokio::test]
async fn listings_show_what_the_caller_may_see() {
    let builder = EmbeddedGlance::builder().page_size(1000);
    let builder = builder
        .token("admin", Caller::admin())
        .token("alice", Caller::member("alpha"));
    let lab = Lab::new(builder);
    let id = |letter: &str| format!("{}-1111-4111-8111-111111111111", letter.repeat(8));
    let images = [
        ("1", "alpha", "private"),
        ("2", "alpha", "community"),
        ("3", "beta", "private"),
        ("4", "beta", "community"),
        ("5", "beta", "public"),
        ("6", "beta", "shared"),
        ("7", "beta", "shared"),
    ];
    for (letter, owner, visibility) in images {
        let spec = ImageSpec::new(&id(letter))
            .owner(owner)
            .visibility(visibility);
        lab.glance.add_image(if letter == "6" {
            spec.member("alpha", "accepted")
        } else {
            spec.member("alpha", "pending")
        });
    }
    lab.glance
        .add_image(ImageSpec::new(&id("8")).owner("alpha").hidden());
    for (token, query, expected) in [
        ("alice", "", "1256"),
        ("alice", "visibility=all", "12456"),
        ("alice", "visibility=community", "24"),
        ("alice", "os_hidden=true", "8"),
        ("alice", "member_status=pending", "1257"),
        ("alice", "visibility=private", "1"),
        ("admin", "", "13567"),
        ("admin", "visibility=all", "1234567"),
        ("admin", "visibility=all&os_hidden=true", "8"),
    ] {
        let request = lab
            .request("GET", &format!("/v2/images?sort=id:asc&{query}"))
            .header("x-auth-token", token);
        let page = json_of(request.send().await.unwrap()).await;
        let letters: String = page["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| &image["id"].as_str().unwrap()[..1])
            .collect();
        assert_eq!(letters, expected, "{token} {query}");
    }
    let alice = async |method, path: String| lab.status_as("alice", method, &path).await;
    assert_eq!(alice("GET", format!("/v2/images/{}", id("3"))).await, 404);
    assert_eq!(
        alice("GET", format!("/v2/images/{}", id("7"))).await,
        200,
        "pending members may look"
    );
    assert_eq!(
        alice("DELETE", format!("/v2/images/{}", id("5"))).await,
        403
    );
    let anonymous = lab.send("GET", "/v2/images").await;
    assert_eq!(anonymous.status(), 401);
    assert!(anonymous.headers().contains_key("www-authenticate"));
    assert_eq!(lab.status("GET", "/versions").await, 200, "needs no token");
}

#[tokio::test]
async fn glance_of_2017_knows_no_hidden_images_and_no_visibility_all() {
    let lab = Lab::legacy();
    lab.glance.add_image(active(ONE));
    assert_eq!(lab.status("GET", "/v2/images?visibility=all").await, 400);
    assert_eq!(lab.ids("/v2/images?os_hidden=false").await, [""; 0]);
    assert_eq!(
        lab.create(&json!({ "os_hidden": true })).await.status(),
        400
    );
    let record = json_of(
        lab.create(&json!({ "id": TWO, "os_hash_algo": "sha512" }))
            .await,
    )
    .await;
    assert_eq!(record["os_hash_algo"], "sha512", "it becomes a property");
    let record = lab.get_json(&format!("/v2/images/{ONE}")).await;
    assert!(
        ["os_hash_algo", "os_hidden", "stores"]
            .iter()
            .all(|name| record.get(name).is_none()),
        "{record}"
    );
    lab.glance.add_image(ImageSpec::new(THREE));
    let wrong_size = lab
        .upload(THREE, "hello world")
        .header("x-openstack-image-size", "5");
    assert_eq!(wrong_size.send().await.unwrap().status(), 204);
    assert_eq!(lab.status("GET", "/v2/info/stores").await, 404);
}

#[tokio::test]
async fn stores_have_names() {
    let lab = Lab::today();
    assert_eq!(
        lab.get_json("/v2/info/stores").await["stores"][0],
        json!({ "id": "main", "default": "true" })
    );
}
