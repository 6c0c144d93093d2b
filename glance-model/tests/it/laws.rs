//! Laws for any image: codings lead back, filters and diffs behave, and no
//! input makes them panic.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_model::{
    BaseProperty, ImageId, ImageMetadata, ImageStatus, Inspector, Key, MetadataDiff, Omit, Scalar,
    Surroundings, TargetForm, Test, Visibility, v1, v2,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";
const FORMS: [TargetForm; 4] = [
    TargetForm::Whole,
    TargetForm::V1,
    TargetForm::V2 { hidden: true },
    TargetForm::V2 { hidden: false },
];

prop_compose! {
    fn image()(
        name in option::of(".{1,12}"),
        owner in option::of("[a-z0-9]{1,32}"),
        visibility in option::of(prop_oneof![
            Just(Visibility::Public), Just(Visibility::Community), Just(Visibility::Shared),
            Just(Visibility::Private), Just(Visibility::NotPublic),
        ]),
        (protected, hidden) in any::<(Option<bool>, Option<bool>)>(),
        (min_disk, min_ram, size) in any::<(Option<u32>, Option<u32>, Option<u64>)>(),
        checksum in option::of("[0-9a-f]{32}"),
        active in any::<bool>(),
        tags in btree_set(".{0,6}", 0..4),
        properties in btree_map("[a-z_][a-zA-Z0-9_:. -]{0,8}", ".{0,12}", 0..5),
        nulls in btree_set("[a-z_-]{1,4}", 0..3),
    ) -> ImageMetadata {
        let status = if active { ImageStatus::Active } else { ImageStatus::Queued };
        let mut image = ImageMetadata::new(ImageId::parse(ID).unwrap(), status);
        image.name = name;
        image.owner = owner;
        image.visibility = visibility;
        image.protected = protected;
        image.hidden = hidden;
        image.min_disk = min_disk.map(u64::from);
        image.min_ram = min_ram.map(u64::from);
        image.size = size.filter(|size| *size > 0);
        image.checksum = checksum;
        image.tags = tags;
        image.null_properties = nulls;
        image.null_properties.retain(|name| !properties.contains_key(name));
        image.properties = properties;
        image
    }
}

fn between(source: &ImageMetadata, target: &ImageMetadata) -> MetadataDiff {
    MetadataDiff::between(source, target, &Omit::default())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
        Just(json!(ID)),
        Just(json!("active")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(
                prop_oneof![
                    ".{0,6}",
                    Just("id".to_owned()),
                    Just("status".to_owned()),
                    Just("size".to_owned()),
                    Just("tags".to_owned()),
                    Just("properties".to_owned()),
                ],
                inner,
                0..6
            )
            .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_v1_record_leads_back_to_what_v1_can_say(image in image()) {
        let held = TargetForm::V1.of(image);
        let record: v1::Record = serde_json::from_value(v1::record(&held)).unwrap();
        prop_assert_eq!(record.0, held);
    }

    #[test]
    fn a_v2_record_leads_back_to_what_a_client_may_send(image in image()) {
        let mut held = TargetForm::V2 { hidden: true }.of(image);
        held.visibility = held.visibility.filter(|v| *v != Visibility::NotPublic);
        let mut sent = v2::record(&held);
        sent["status"] = json!(held.status.as_str());
        let record: v2::Record = serde_json::from_value(sent).unwrap();
        (held.size, held.checksum) = (None, None);
        prop_assert_eq!(record.0, held);
    }

    #[test]
    fn headers_lead_back_to_what_v1_can_say(image in image()) {
        let mut held = TargetForm::V1.of(image);
        held.status = ImageStatus::Active;
        if held.size == Some(0) { held.checksum = None; }
        let headers = v1::headers(&held);
        let read = v1::from_headers(headers.iter().map(|(name, value)| (&**name, &**value))).unwrap();
        prop_assert_eq!(TargetForm::V1.of(read), held);
    }

    #[test]
    fn nothing_differs_from_itself_in_any_form(image in image()) {
        for form in FORMS {
            let held = form.of(image.clone());
            prop_assert!(between(&held, &held).is_empty());
            prop_assert_eq!(form.of(held.clone()), held);
        }
    }

    #[test]
    fn a_diff_that_is_applied_is_gone(source in image(), target in image()) {
        let diff = between(&source, &target);
        let applied = diff.apply_to(target.clone());
        prop_assert!(between(&source, &applied).is_empty());
        // One way: what only the target has stays.
        for (name, value) in &target.properties {
            if source.null_properties.contains(name) {
                continue;
            }
            let kept = source.properties.get(name).unwrap_or(value);
            prop_assert_eq!(applied.properties.get(name), Some(kept));
        }
        prop_assert!(applied.tags.is_superset(&target.tags));
    }

    #[test]
    fn what_is_written_as_json_is_read_back(source in image(), target in image()) {
        fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
            serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
        }
        prop_assert_eq!(again(&source), source.clone());
        for diff in [
            between(&source, &target),
            MetadataDiff::to_make_equal(&source, &target),
            MetadataDiff::to_restore(&source, &target),
        ] {
            prop_assert_eq!(again(&diff), diff);
        }
        for form in FORMS {
            prop_assert_eq!(again(&form), form);
        }
    }

    #[test]
    fn what_is_restored_is_as_it_was(meant in image(), found in image()) {
        for form in FORMS {
            let (meant, found) = (form.of(meant.clone()), form.of(found.clone()));
            let back = MetadataDiff::to_restore(&meant, &found).apply_to(found);
            prop_assert!(MetadataDiff::to_restore(&meant, &back).is_empty());
            prop_assert!(between(&meant, &back).writable().is_empty());
        }
    }

    #[test]
    fn what_is_filtered_is_neither_sent_nor_different(source in image(), target in image()) {
        let filter = Omit::parse(
            "name owner visibility protected os_hidden min_disk min_ram tags properties status size checksum",
        ).unwrap();
        prop_assert!(MetadataDiff::between(&source, &target, &filter).is_empty());
        let filtered = filter.apply(source.clone());
        prop_assert_eq!(v2::record(&filtered), json!({"id": ID}));
        prop_assert_eq!(filtered.size, source.size);
    }

    #[test]
    fn a_patch_has_an_operation_for_each_writable_change(source in image(), target in image()) {
        let form = TargetForm::V2 { hidden: true };
        let (source_in_v2, target_in_v2) = (form.of(source.clone()), form.of(target.clone()));
        for diff in [
            between(&source_in_v2, &target_in_v2),
            MetadataDiff::to_make_equal(&source_in_v2, &target_in_v2),
            MetadataDiff::to_restore(&source_in_v2, &target_in_v2),
        ] {
            let (diff, _) = diff.writable().updatable(form);
            let patch = v2::patch(&diff);
            prop_assert_eq!(patch.as_array().unwrap().len(), diff.changes().len());
        }
        let headers = v1::update_headers(&between(&TargetForm::V1.of(source), &TargetForm::V1.of(target)));
        for (name, _) in headers {
            prop_assert!(name.starts_with("x-image-meta-"), "{}", name);
        }
    }

    #[test]
    fn no_json_makes_a_record_panic(value in any_json()) {
        let _ = serde_json::from_value::<v1::Record>(value.clone());
        let _ = serde_json::from_value::<v2::Record>(value);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,60}", name in ".{0,20}") {
        let _ = ImageId::parse(&text);
        let _ = Omit::parse(&text);
        let _ = v1::from_headers([("x-image-meta-id", ID), (&name, &text)]);
        let mut image = ImageMetadata::new(ImageId::parse(ID).unwrap(), ImageStatus::parse(&text));
        for property in BaseProperty::ALL {
            let _ = image.set(*property, Some(Scalar::Text(&text)));
        }
    }

    #[test]
    fn image_data_is_judged_the_same_however_it_is_cut_into_pieces(
        magic in proptest::sample::select(vec![
            &b"KDMV\x01\0\0\0"[..], b"vhdxfile", b"QFI\xfb\0\0\0\x03", b"LUKS\xba\xbe\0\x01",
            b"createType=\"x\"", b"",
        ]),
        rest in vec(any::<u8>(), 0..700),
        zeros in prop_oneof![Just(0_usize), Just(70_000), Just(300_000)],
        piece in 1..100_000_usize,
        format in prop_oneof![Just("raw"), Just("vmdk"), Just("vhdx"), Just("qcow2")],
    ) {
        let data = [magic, &rest, &vec![0; zeros]].concat();
        let mut inspector = Inspector::new(format, "bare");
        data.chunks(piece).for_each(|piece| inspector.see(piece));
        let early = inspector.problem().cloned();
        let late = inspector.finish();
        prop_assert!(early.is_none() || early == late);
        prop_assert_eq!(late, Inspector::find(format, "bare", &data));
    }
}

/// Tests as they are typed: keys and operators that there are, and values that may be any text.
fn expression() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("id".to_owned()),
        Just("name".to_owned()),
        Just("status".to_owned()),
        Just("owner".to_owned()),
        Just("tag".to_owned()),
        Just("hidden".to_owned()),
        Just("size".to_owned()),
        Just("min_disk".to_owned()),
        Just("created".to_owned()),
        "property:[a-z_.]{1,6}",
        "property:\"[a-z =<\\\\]{1,6}\"",
    ];
    let operator = prop_oneof![
        Just(""),
        Just("="),
        Just(" != "),
        Just("<"),
        Just("<="),
        Just(">"),
        Just(" >= "),
    ];
    let value = prop_oneof![
        "[a-z0-9*?{},. -]{0,8}",
        "\"[^\"\\\\]{0,8}\"",
        "[0-9]{1,6}(\\.[0-9]{1,3})?[BKMGT]?",
        "[0-9]{1,3}[hdw]",
        Just("2026-11-01".to_owned()),
        Just("2026-11-01T12:00:00.5+01:00".to_owned()),
        Just("true".to_owned()),
        Just("active".to_owned()),
        Just("mine".to_owned()),
    ];
    let values = vec(value, 0..3).prop_map(|values| values.join(","));
    (key, operator, values).prop_map(|(key, operator, values)| format!("{key}{operator}{values}"))
}

proptest! {
    #[test]
    fn a_test_says_by_itself_what_was_meant(text in expression(), image in image()) {
        let now = "2026-11-27T00:00:00Z".parse().unwrap();
        let surroundings = Surroundings::at(now).of_project(Some("mine".to_owned()));
        if let Ok(test) = Test::parse(&text, &surroundings) {
            let again: Test = test.to_string().parse().unwrap();
            prop_assert_eq!(&again, &test, "{} is {}", text, test);
            prop_assert_eq!(again.passes(&image), test.passes(&image));
        }
    }

    #[test]
    fn any_text_is_a_test_or_an_error_that_shows_its_place(text in "\\PC{0,20}|.{0,20}") {
        if let Err(error) = text.parse::<Test>() {
            prop_assert!(error.column <= text.chars().count());
            prop_assert_eq!(error.to_string().lines().count(), 3);
        }
    }

    #[test]
    fn an_exact_text_is_equal_to_itself_alone(name in ".{0,12}", image in image()) {
        let test = Test::is(Key::Name, name.clone());
        prop_assert_eq!(test.passes(&image), image.name.as_ref() == Some(&name));
        prop_assert_eq!(test.exact(), Some(vec![name.as_str()]));
        prop_assert_eq!(test.to_string().parse::<Test>(), Ok(test));
    }
}
