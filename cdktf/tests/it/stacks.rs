//! What must hold of every stack.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use catalog::{Deployment, Function};
use serde_json::Value;

use crate::world::{EVERYTHING, ROOT, catalog, environments, read, resources, shipped, stack_of};

/// Every text in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts(member, found)),
        _ => {}
    }
}

/// What stands between `${` and `}`, but where it is escaped.
fn templates(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let inside = &rest[at + 2..];
        let end = inside.find('}').expect("a template ends");
        if !rest[..at].ends_with('$') {
            found.push(inside[..end].to_owned());
        }
        rest = &inside[end..];
    }
    found
}

#[test]
fn the_committed_assembly_is_the_generated_one() {
    for (path, text) in &shipped().files {
        let committed =
            std::fs::read_to_string(format!("{ROOT}/cdktf/cdktf.out/{}", path.display())).unwrap_or_default();
        assert!(&committed == text, "cdktf.out/{} is stale; run: cargo run -p cdktf", path.display());
    }
}

#[test]
fn the_stack_of_an_older_name_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let listed = || -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder.path().join("stacks")).expect("it is there");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
    };
    let renamed = read("pipeline.toml").replacen("name = \"totesys\"", "name = \"elder\"", 1);
    let environments = environments(&read("cdktf/environments.toml"));
    let elder = cdktf::assembly(&catalog(&renamed), &environments).expect("it is synthesized");
    elder.write(folder.path()).expect("it is written");
    // What Terraform leaves in the folder goes with it; what is nobody's stack stays.
    std::fs::create_dir_all(folder.path().join("stacks/elder-dev/.terraform")).expect("made");
    std::fs::create_dir(folder.path().join("stacks/notes")).expect("made");
    assert_eq!(listed(), BTreeSet::from(["elder-dev", "elder-prod", "notes"].map(str::to_owned)));
    shipped().write(folder.path()).expect("it is written");
    assert_eq!(listed(), BTreeSet::from(["notes", "totesys-dev", "totesys-prod"].map(str::to_owned)));
}

#[test]
fn every_reference_leads_to_a_resource_of_the_stack() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let known: BTreeSet<String> =
        resources(&stack).into_iter().map(|(kind, name, _)| format!("{kind}.{name}")).collect();
    let mut all = Vec::new();
    texts(&stack, &mut all);
    let mut references = 0;
    for template in all.iter().flat_map(|text| templates(text)) {
        if template.starts_with("aws_") {
            let parts: Vec<&str> = template.splitn(3, '.').collect();
            let [kind, name, attribute] = parts[..] else { panic!("{template} has no attribute") };
            assert!(known.contains(&format!("{kind}.{name}")), "{template}");
            let attributes = ["arn", "id", "name", "function_name", "bucket", "key", "address", "identifier"];
            assert!(attributes.contains(&attribute) || attribute == "master_user_secret[0].secret_arn", "{template}");
            references += 1;
        } else if let Some(query) = template.strip_prefix("data.") {
            let parts: Vec<&str> = query.splitn(3, '.').collect();
            assert!(parts.len() == 3 && stack["data"][parts[0]].get(parts[1]).is_some(), "{template}");
        } else {
            let of_terraform = ["path.module", "filesha256(", "filebase64sha256("];
            assert!(of_terraform.iter().any(|start| template.starts_with(start)), "{template}");
        }
    }
    assert!(references > 200, "{references}");
    for (kind, name, body) in resources(&stack) {
        for address in body["depends_on"].as_array().into_iter().flatten() {
            assert!(known.contains(address.as_str().expect("an address")), "{kind}.{name}");
        }
    }
}

/// The ARNs that a policy's statement of that name is about.
fn statement(stack: &Value, kind: &str, policy: &str, sid: &str) -> BTreeSet<String> {
    let text = stack["resource"][kind][policy]["policy"].as_str().expect("a policy");
    let document: Value = serde_json::from_str(text).expect("it is JSON");
    let statements = document["Statement"].as_array().expect("statements");
    let found = statements.iter().find(|statement| statement["Sid"] == sid).expect("the statement is there");
    found["Resource"]
        .as_array()
        .expect("resources")
        .iter()
        .map(|arn| arn.as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn nobody_reaches_what_is_stored_told_or_queued_but_over_tls() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    for (kind, policies, of) in [
        ("aws_s3_bucket", "aws_s3_bucket_policy", "bucket"),
        ("aws_sns_topic", "aws_sns_topic_policy", "arn"),
        ("aws_sqs_queue", "aws_sqs_queue_policy", "queue_url"),
    ] {
        let kept = stack["resource"][kind].as_object().expect("some");
        assert!(!kept.is_empty(), "{kind}");
        for name in kept.keys() {
            let policy = &stack["resource"][policies][name];
            let whose = policy[of].as_str().unwrap_or_else(|| panic!("{kind}.{name} has no policy"));
            assert!(whose.starts_with(&format!("${{{kind}.{name}.")), "{policies}.{name} is of {whose}");
            let document: Value = serde_json::from_str(policy["policy"].as_str().expect("a text")).expect("JSON");
            let denied = document["Statement"].as_array().expect("statements").iter().any(|statement| {
                statement["Effect"] == "Deny"
                    && statement["Principal"] == "*"
                    && statement["Condition"] == serde_json::json!({ "Bool": { "aws:SecureTransport": "false" } })
            });
            assert!(denied, "{kind}.{name}");
        }
    }
}

/// How many functions the shipped catalogue has.
fn shipped_catalog_functions() -> usize {
    catalog(&read("pipeline.toml")).all_functions().count()
}

#[test]
fn every_function_of_the_definition_is_deployed_and_may_be_called() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let machine = &stack["resource"]["aws_sfn_state_machine"]["totesys-prod-etl"];
    let definition = machine["definition"].as_str().expect("a definition");
    let called: BTreeSet<String> = templates(definition)
        .into_iter()
        .filter(|template| template.starts_with("aws_lambda_function."))
        .map(|template| format!("${{{template}}}"))
        .collect();
    assert_eq!(called, statement(&stack, "aws_iam_policy", "totesys-prod-etl-calls-1", "CallTheFunctions"));
    let functions = stack["resource"]["aws_lambda_function"].as_object().expect("functions");
    let all = shipped_catalog_functions();
    assert_eq!((called.len(), functions.len()), (all, all));
    // It is a definition that our own interpreter takes.
    let parsed: Value = serde_json::from_str(definition).expect("it is JSON");
    asl::Machine::parse(&parsed).expect("it is a state machine");
}

#[test]
fn every_end_that_no_state_tells_of_is_told_by_a_rule_in_the_words_of_a_laptop() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let (rules, targets) =
        (&stack["resource"]["aws_cloudwatch_event_rule"], &stack["resource"]["aws_cloudwatch_event_target"]);
    let mut seen = Vec::new();
    for (name, rule) in rules.as_object().expect("rules") {
        let json = |value: &Value| -> Value { serde_json::from_str(value.as_str().expect("a text")).expect("JSON") };
        let pattern = json(&rule["event_pattern"]);
        let status = pattern["detail"]["status"][0].as_str().expect("a status").to_owned();
        // What halt holds has told of itself.
        let but = &pattern["detail"]["error"][0]["anything-but"];
        let held = ["CheckpointFailed", "PlanFailed", "ExtractFailed", "TransformFailed", "LoadFailed"];
        assert_eq!(*but, if status == "FAILED" { serde_json::json!(held) } else { Value::Null }, "{name}");
        let transformer = &targets[name]["input_transformer"];
        let message = json(&transformer["input_template"]);
        let message = message.as_str().expect("a text in quotes");
        assert!(message.starts_with("totesys-prod: run <name> "), "{message}");
        assert!(message.contains("`datadetox ") && message.contains(" --aws --environment prod"), "{message}");
        assert!(!message.contains(['"', '\n']), "{message}");
        let paths = transformer["input_paths"].as_object().expect("paths");
        for placeholder in message.split('<').skip(1).map(|rest| rest.split('>').next().expect("it ends")) {
            assert!(paths.contains_key(placeholder), "{placeholder}");
        }
        assert_eq!(targets[name]["arn"], "${aws_sns_topic.alerts.arn}");
        seen.push(status);
    }
    seen.sort();
    assert_eq!(seen, ["ABORTED", "FAILED", "TIMED_OUT"]);
}

#[test]
fn alarms_watch_every_function_and_all_tell_the_topic() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let alarms = stack["resource"]["aws_cloudwatch_metric_alarm"].as_object().expect("alarms");
    for function in stack["resource"]["aws_lambda_function"].as_object().expect("functions").keys() {
        let short = function.strip_prefix("totesys-prod-").expect("the prefix");
        for what in ["errors", "throttles", "duration", "memory", "error-lines"] {
            assert!(alarms.contains_key(&format!("{short}-{what}")), "{function}: {what}");
        }
    }
    for what in ["runs-failed", "runs-timed-out", "runs-throttled", "stale", "rejected", "missed", "warehouse-storage"]
    {
        assert!(alarms.contains_key(what), "{what}");
    }
    assert!(alarms.values().all(|alarm| alarm["alarm_actions"][0] == "${aws_sns_topic.alerts.arn}"));
    assert_eq!(alarms["stale"]["treat_missing_data"], "breaching");
}

#[test]
fn functions_run_on_the_processors_that_the_environment_names_from_packages_for_them() {
    for (environment, architecture) in [(EVERYTHING, "x86_64"), ("[dev]\nregion = 'eu-west-2'", "arm64")] {
        let stack = stack_of(&read("pipeline.toml"), environment);
        for (name, function) in stack["resource"]["aws_lambda_function"].as_object().expect("functions") {
            assert_eq!(function["architectures"][0], architecture, "{name}");
        }
        for (name, archive) in stack["resource"]["aws_s3_object"].as_object().expect("archives") {
            let expected = format!("${{path.module}}/../../../../target/packages/{architecture}/{name}.zip");
            assert_eq!(archive["source"], expected);
        }
    }
}

#[test]
fn a_warehouse_of_rds_is_for_checkpoint_and_load_and_no_password_is_in_the_stack() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let server = &stack["resource"]["aws_db_instance"]["warehouse"];
    assert_eq!((&server["manage_master_user_password"], &server["publicly_accessible"]), (&true.into(), &false.into()));
    assert!(server.get("password").is_none());
    let secret = "${aws_db_instance.warehouse.master_user_secret[0].secret_arn}";
    let functions = stack["resource"]["aws_lambda_function"].as_object().expect("functions");
    for (name, function) in functions {
        let variables = &function["environment"]["variables"];
        let of_warehouse = ["SECRET", "HOST", "DATABASE"].map(|what| &variables[format!("DATADETOX_WAREHOUSE_{what}")]);
        if ["totesys-prod-checkpoint", "totesys-prod-load"].contains(&name.as_str()) {
            assert_eq!(of_warehouse, [secret, "${aws_db_instance.warehouse.address}", "warehouse"]);
            let read = statement(&stack, "aws_iam_role_policy", name, "ReadOwnSecret");
            assert_eq!(read, BTreeSet::from([secret.to_owned()]));
        } else {
            assert_eq!(of_warehouse, [&Value::Null; 3], "{name}");
        }
    }
    // There is no other secret to set.
    let secrets = stack["resource"]["aws_secretsmanager_secret"].as_object().expect("secrets");
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["source"]);
    let rules = stack["resource"]["aws_vpc_security_group_ingress_rule"].as_object().expect("rules");
    assert!(rules.values().all(|rule| rule["referenced_security_group_id"] == "sg-1"), "nobody but the functions");
}

/// The names of the statements of a function's own policy.
fn statements_of<'s>(stack: &'s Value, function: &str) -> (BTreeSet<String>, &'s str) {
    let text = stack["resource"]["aws_iam_role_policy"][function]["policy"].as_str().expect("a policy");
    let document: Value = serde_json::from_str(text).expect("it is JSON");
    let statements = document["Statement"].as_array().expect("statements").iter();
    (statements.map(|statement| statement["Sid"].as_str().expect("a name").to_owned()).collect(), text)
}

#[test]
fn checkpoint_reaches_the_warehouse_and_no_bucket() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let (statements, text) = statements_of(&stack, "totesys-prod-checkpoint");
    let expected = ["JoinTheVpc", "ReadOwnSecret", "Trace", "UseTheKey", "WriteOwnLog"];
    assert_eq!(statements, expected.map(str::to_owned).into());
    assert!(!text.contains("s3:") && !text.contains("aws_s3_bucket"), "{text}");
    let function = &stack["resource"]["aws_lambda_function"]["totesys-prod-checkpoint"];
    let load = &stack["resource"]["aws_lambda_function"]["totesys-prod-load"];
    assert_eq!((&function["vpc_config"], &function["architectures"]), (&load["vpc_config"], &load["architectures"]));
}

#[test]
fn plan_reads_the_states_and_the_whole_copies_and_creates_nothing() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let (statements, _) = statements_of(&stack, "totesys-prod-plan");
    assert!(!statements.contains("CreateOwnObjects"), "{statements:?}");
    let reads = statement(&stack, "aws_iam_role_policy", "totesys-prod-plan", "ReadOwnPrefixes");
    let snapshots = ["address", "counterparty", "currency", "department", "payment_type", "staff"];
    let copies = snapshots.map(|table| format!("${{aws_s3_bucket.ingestion.arn}}/{table}/*"));
    let states = "${aws_s3_bucket.processed.arn}/_states/*".to_owned();
    assert_eq!(reads, copies.into_iter().chain([states]).collect());
}

/// Whether a pattern of a policy, with `*` at its end at most, covers a text.
fn covers(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == text, |start| text.starts_with(start))
}

#[test]
fn whoever_deploys_may_pause_and_resume_the_schedule_and_see_what_runs() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let text = stack["resource"]["aws_iam_role_policy"]["totesys-prod-deploy"]["policy"].as_str().expect("a policy");
    let document: Value = serde_json::from_str(text).expect("it is JSON");
    let allows = |action: &str, arn: &str| {
        document["Statement"].as_array().expect("statements").iter().any(|statement| {
            let has = |member: &str, text: &str| {
                let patterns = statement[member].as_array().expect("a list");
                patterns.iter().any(|pattern| covers(pattern.as_str().expect("a text"), text))
            };
            statement["Effect"] == "Allow"
                && statement["Condition"].is_null()
                && has("Action", action)
                && has("Resource", arn)
        })
    };
    let (partition, account) =
        ("${data.aws_partition.current.partition}", "${data.aws_caller_identity.current.account_id}");
    let arn = |service: &str, rest: &str| format!("arn:{partition}:{service}:ap-southeast-1:{account}:{rest}");
    let schedule = arn("scheduler", "schedule/default/totesys-prod-schedule");
    // Putting a schedule back passes the role that it starts runs with once more.
    let role = format!("arn:{partition}:iam::{account}:role/totesys-prod-schedule");
    for (action, arn) in [
        ("scheduler:GetSchedule", &schedule),
        ("scheduler:UpdateSchedule", &schedule),
        ("iam:PassRole", &role),
        ("states:ListExecutions", &arn("states", "stateMachine:totesys-prod-etl")),
        ("sts:GetCallerIdentity", &"*".to_owned()),
    ] {
        assert!(allows(action, arn), "{action} on {arn}");
    }
    assert!(!allows("scheduler:UpdateSchedule", &arn("scheduler", "schedule/default/elder-prod-schedule")));
    let named = stack["resource"]["aws_scheduler_schedule"]["totesys-prod-schedule"]["name"].as_str();
    assert_eq!(named, Some("totesys-prod-schedule"));
}

#[test]
fn terraform_leaves_a_schedule_as_paused_as_it_finds_it() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let schedule = &stack["resource"]["aws_scheduler_schedule"]["totesys-prod-schedule"];
    assert!(schedule.get("state").is_none(), "it would be set at every apply");
    assert_eq!(schedule["lifecycle"], serde_json::json!({ "ignore_changes": ["state"] }));
}

#[test]
fn a_function_may_create_under_its_own_prefix_and_no_policy_says_star_without_need() {
    let stack = stack_of(&read("pipeline.toml"), EVERYTHING);
    let staff = statement(&stack, "aws_iam_role_policy", "totesys-prod-extract-staff", "CreateOwnObjects");
    assert_eq!(staff, BTreeSet::from(["${aws_s3_bucket.ingestion.arn}/staff/*".to_owned()]));
    let policies = stack["resource"]["aws_iam_role_policy"].as_object().expect("policies");
    // Whoever deploys makes, changes and removes everything of the stack, by its name.
    for (name, body) in policies.iter().filter(|(name, _)| *name != "totesys-prod-deploy") {
        let document: Value = serde_json::from_str(body["policy"].as_str().expect("a text")).expect("JSON");
        for statement in document["Statement"].as_array().expect("statements") {
            let actions = statement["Action"].as_array().expect("actions");
            assert!(actions.iter().all(|action| !action.as_str().is_some_and(|text| text.contains('*'))), "{name}");
            if statement["Resource"][0] == "*" {
                let sid = statement["Sid"].as_str().expect("a name");
                assert!(["Trace", "DeliverLogs", "JoinTheVpc"].contains(&sid), "{name}: {sid}");
            }
        }
    }
}

/// A catalogue of so many tables, with names as long as Postgres allows.
fn wide(tables: usize) -> String {
    let mut text = "[pipeline]\nname = 'a-name-of-twenty-now'\nalerts = ['a@b.example']\n".to_owned();
    for number in 0..tables {
        let name = format!("{number:03}{}", "t".repeat(60));
        let _ = write!(
            text,
            "[source.tables.{name}]\nkey = 'id'\ncapture = 'changes'\ncolumns = {{ id = 'integer' }}\n\
             [facts.{name}]\nfrom = '{name}'\nsurrogate_key = 'n'\ncolumns = {{ id = 'id' }}\n"
        );
    }
    text
}

#[test]
fn names_stay_within_the_limits_of_aws_even_for_the_longest_tables() {
    let stack = stack_of(&wide(3), "[verylong]\nregion = 'ap-southeast-1'");
    for (kind, argument, limit) in [
        ("aws_lambda_function", "function_name", 64),
        ("aws_iam_role", "name", 64),
        ("aws_sfn_state_machine", "name", 80),
        ("aws_scheduler_schedule", "name", 64),
        ("aws_cloudwatch_event_rule", "name", 64),
        ("aws_sqs_queue", "name", 80),
        ("aws_sns_topic", "name", 256),
        ("aws_cloudwatch_metric_alarm", "alarm_name", 255),
        ("aws_cloudwatch_dashboard", "dashboard_name", 255),
    ] {
        let named = stack["resource"][kind].as_object().unwrap_or_else(|| panic!("{kind}"));
        let names: BTreeSet<&str> = named.values().map(|body| body[argument].as_str().expect("a name")).collect();
        assert_eq!(names.len(), named.len(), "{kind}: two of one name");
        assert!(names.iter().all(|name| name.len() <= limit), "{kind}: {names:?}");
    }
    // An account number stands for the template.
    for bucket in stack["resource"]["aws_s3_bucket"].as_object().expect("buckets").values() {
        let name = bucket["bucket"].as_str().expect("a name");
        let name = name.replace("${data.aws_caller_identity.current.account_id}", "123456789012");
        assert!(name.len() <= 63 && !name.contains('$'), "{name}");
    }
}

/// The length of a text once Terraform has put ARNs, the longest there are, where references stand.
fn resolved_length(text: &str) -> usize {
    let arn = format!("arn:aws-us-gov:lambda:ap-southeast-1:123456789012:function:{}", "n".repeat(64));
    let templates = templates(text);
    let short = templates.iter().map(|template| template.len() + 3).sum::<usize>();
    text.len() - short + templates.len() * arn.len()
}

#[test]
fn policies_of_a_hundred_tables_fit_the_limits_of_iam_and_s3() {
    let stack = stack_of(&wide(100), "[verylong]\nregion = 'ap-southeast-1'\nrepository = 'o/n'");
    for (kind, limit) in [("aws_iam_role_policy", 10_240), ("aws_iam_policy", 6_144), ("aws_s3_bucket_policy", 20_480)]
    {
        for (name, body) in stack["resource"][kind].as_object().unwrap_or_else(|| panic!("{kind}")) {
            let length = resolved_length(body["policy"].as_str().expect("a text"));
            assert!(length <= limit, "{kind}.{name}: {length}");
        }
    }
    let attached = stack["resource"]["aws_iam_role_policy_attachment"].as_object().expect("attachments");
    assert!((3..=10).contains(&attached.len()), "ten is what a role may have without asking AWS for more");
}

#[test]
fn a_hundred_tables_fit_the_limits_of_step_functions() {
    let stack = stack_of(&wide(100), "[verylong]\nregion = 'ap-southeast-1'");
    let machine = stack["resource"]["aws_sfn_state_machine"].as_object().expect("one").values().next().expect("one");
    let resolved = resolved_length(machine["definition"].as_str().expect("a text"));
    assert!(resolved < 1_048_576, "{resolved}");
}

#[test]
fn another_table_changes_nothing_but_what_is_of_it() {
    let before = read("pipeline.toml");
    let table = "
        [source.tables.refund]
        key = 'refund_id'
        capture = 'changes'
        columns = { refund_id = 'integer', amount = 'numeric(10,2)' }
        [facts.fact_refund]
        from = 'refund'
        surrogate_key = 'refund_record_id'
        columns = { refund_id = 'refund_id', amount = 'amount' }
    ";
    let (old, new) = (stack_of(&before, EVERYTHING), stack_of(&(before.clone() + table), EVERYTHING));
    let address = |(kind, name, _): &(&str, &str, &Value)| format!("{kind}.{name}");
    let known: BTreeSet<String> = resources(&old).iter().map(address).collect();
    let after: BTreeSet<String> = resources(&new).iter().map(address).collect();
    assert!(known.is_subset(&after));
    let added: Vec<&String> = after.difference(&known).collect();
    assert!(!added.is_empty() && added.iter().all(|name| name.contains("refund")), "{added:?}");
    let changed: Vec<String> = resources(&old)
        .into_iter()
        .filter(|(kind, name, body)| &new["resource"][*kind][*name] != *body)
        .map(|resource| address(&resource))
        .collect();
    // What names all functions: what is drawn, who may be called, the definition.
    let expected = [
        "aws_cloudwatch_dashboard.dashboard",
        "aws_iam_policy.totesys-prod-etl-calls-1",
        "aws_sfn_state_machine.totesys-prod-etl",
    ];
    assert_eq!(changed, expected);
}

#[test]
fn names_of_the_catalogue_are_no_templates() {
    let text = "[pipeline]\nname = 'p'\n[source.tables.'a${b}%{c}']\nkey = 'id'\ncapture = 'changes'\n\
                columns = { id = 'integer' }\n[facts.f]\nfrom = 'a${b}%{c}'\nsurrogate_key = 'n'\ncolumns = { id = 'id' }\n";
    let stack = stack_of(text, EVERYTHING);
    let mut all = Vec::new();
    texts(&stack, &mut all);
    let mine: Vec<&String> = all.iter().filter(|text| text.contains("{b}")).collect();
    assert!(!mine.is_empty() && mine.iter().all(|text| !text.replace("$${", "").contains("${b}")), "{mine:?}");
    let catalogue = catalog(text);
    let deployment = Deployment::on_laptop(catalogue);
    assert!(!deployment.function(Function::Extract(&deployment.catalog.source.tables[0])).contains('$'));
}
