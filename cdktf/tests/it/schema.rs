//! Every resource and every argument, held against the schema that the AWS provider publishes.

use serde_json::Value;

use crate::world::{EVERYTHING, read, resources, stack_of};

/// What every resource may hold beside its own arguments.
const META: [&str; 2] = ["depends_on", "lifecycle"];

fn check(place: &str, members: &Value, value: &Value, problems: &mut Vec<String>) {
    let Some(given) = value.as_object() else {
        problems.push(format!("{place} is no block"));
        return;
    };
    for (name, argument) in given {
        let place = format!("{place}.{name}");
        match members.get(name) {
            None if META.contains(&name.as_str()) => {}
            None => problems.push(format!("{place} is unknown to the provider")),
            Some(wanted) => check_type(&place, wanted, argument, problems),
        }
    }
    for (name, wanted) in members.as_object().expect("members") {
        if wanted["required"] == true && !given.contains_key(name) {
            problems.push(format!("{place}.{name} is required"));
        }
    }
}

fn check_type(place: &str, wanted: &Value, value: &Value, problems: &mut Vec<String>) {
    let is_template = value.as_str().is_some_and(|text| text.starts_with("${"));
    let right = match wanted["type"].as_str().expect("a type") {
        "string" => value.is_string(),
        "number" => value.is_number() || is_template,
        "boolean" => value.is_boolean() || is_template,
        "map" => {
            value.as_object().into_iter().flatten().for_each(|(key, inner)| {
                check_type(&format!("{place}.{key}"), &wanted["of"], inner, problems);
            });
            value.is_object()
        }
        // Terraform takes one block where it takes a list of them.
        "array" if value.is_object() => return check_type(place, &wanted["of"], value, problems),
        "array" => {
            value.as_array().into_iter().flatten().for_each(|inner| check_type(place, &wanted["of"], inner, problems));
            value.is_array()
        }
        "block" => {
            let blocks = value.as_array().map_or_else(|| vec![value], |blocks| blocks.iter().collect());
            blocks.into_iter().for_each(|block| check(place, &wanted["members"], block, problems));
            true
        }
        other => panic!("the schema knows no type {other}"),
    };
    if !right {
        problems.push(format!("{place} is {value}, not {}", wanted["type"]));
    }
}

fn problems(stack: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(&read("cdktf/provider-schema.json")).expect("it is JSON");
    let mut problems = Vec::new();
    for (kind, name, body) in resources(stack) {
        match schema["resources"].get(kind) {
            None => problems.push(format!("{kind} is not in the schema; run scripts/provider-schema")),
            Some(members) => check(&format!("{kind}.{name}"), members, body, &mut problems),
        }
    }
    problems
}

#[test]
fn the_provider_knows_every_resource_and_argument() {
    for environment in [EVERYTHING, "[dev]\nregion = 'eu-west-2'"] {
        assert_eq!(problems(&stack_of(&read("pipeline.toml"), environment)), Vec::<String>::new());
    }
}

#[test]
fn the_stack_asks_for_the_one_version_of_the_provider_that_it_is_held_against() {
    let schema: Value = serde_json::from_str(&read("cdktf/provider-schema.json")).expect("it is JSON");
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    assert_eq!(stack["terraform"]["required_providers"]["aws"]["version"], schema["provider"]);
    let exact = schema["provider"].as_str().expect("a version");
    assert!(exact.split('.').count() == 3 && exact.split('.').all(|part| part.parse::<u32>().is_ok()), "{exact}");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let mut stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let machine = &mut stack["resource"]["aws_sfn_state_machine"]["totesys-prod-etl"];
    machine["colour"] = "red".into();
    machine["logging_configuration"]["level"] = 7.into();
    machine.as_object_mut().expect("a resource").remove("definition");
    let machine = "aws_sfn_state_machine.totesys-prod-etl";
    let expected = [
        format!("{machine}.colour is unknown to the provider"),
        format!("{machine}.logging_configuration.level is 7, not \"string\""),
        format!("{machine}.definition is required"),
    ];
    assert_eq!(problems(&stack), expected);
}
