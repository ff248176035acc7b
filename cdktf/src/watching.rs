//! Alarms, the metrics behind them, and a dashboard.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog::deployment::metric::{self, Metric};
use catalog::{Function, ledger};
use serde::Serialize;
use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::functions::{Deployed, Functions};
use crate::orchestration::Orchestration;
use crate::plan::Plan;
use crate::stack::{Resource, Stack};
use crate::warehouse::Warehouse;

#[derive(Serialize)]
struct Alarm {
    alarm_name: String,
    alarm_description: String,
    namespace: String,
    metric_name: String,
    dimensions: BTreeMap<&'static str, String>,
    statistic: &'static str,
    comparison_operator: &'static str,
    threshold: u64,
    period: u64,
    evaluation_periods: u32,
    treat_missing_data: &'static str,
    alarm_actions: Vec<String>,
}

impl Resource for Alarm {
    const TYPE: &'static str = "aws_cloudwatch_metric_alarm";
}

#[derive(Serialize)]
struct MetricFilter {
    name: String,
    log_group_name: String,
    pattern: String,
    metric_transformation: Value,
}

impl Resource for MetricFilter {
    const TYPE: &'static str = "aws_cloudwatch_log_metric_filter";
}

#[derive(Serialize)]
struct Dashboard {
    dashboard_name: String,
    dashboard_body: String,
}

impl Resource for Dashboard {
    const TYPE: &'static str = "aws_cloudwatch_dashboard";
}

/// A data point is "near" a limit from this many hundredths of it on.
const NEAR: u64 = 80;
/// A warehouse this old is stale: what the client was promised.
const STALE_SECONDS: u64 = 30 * 60;
/// Bytes that a warehouse of RDS should always have free; it takes more by itself at a tenth of what it has.
const LOW_STORAGE: u64 = 1 << 30;
/// Lambda's last line of a call, word by word; `used` is the memory in megabytes.
const REPORT: &str =
    "[report=REPORT, l1, id, l2, ms, l3, l4, l5, billed, l6, l7, l8, size, l9, l10, l11, l12, used, ...]";

/// What an alarm watches.
struct Watched<'m> {
    namespace: &'m str,
    name: &'m str,
    dimensions: BTreeMap<&'static str, String>,
    statistic: &'static str,
    seconds: u64,
}

/// Builds alarms that all tell the same topic.
struct Watch<'w> {
    stack: &'w mut Stack,
    plan: &'w Plan<'w>,
    actions: Vec<String>,
}

impl Watch<'_> {
    fn above(&mut self, name: &str, metric: Watched<'_>, threshold: u64, description: String) -> Result<()> {
        self.alarm(name, metric, ("GreaterThanThreshold", threshold, "notBreaching"), description)
    }

    fn alarm(
        &mut self,
        name: &str,
        metric: Watched<'_>,
        (comparison_operator, threshold, treat_missing_data): (&'static str, u64, &'static str),
        alarm_description: String,
    ) -> Result<()> {
        let alarm = Alarm {
            alarm_name: self.plan.deployment.alarm(name),
            alarm_description,
            namespace: metric.namespace.to_owned(),
            metric_name: metric.name.to_owned(),
            dimensions: metric.dimensions,
            statistic: metric.statistic,
            comparison_operator,
            threshold,
            period: metric.seconds,
            evaluation_periods: 1,
            treat_missing_data,
            alarm_actions: self.actions.clone(),
        };
        self.stack.add(name, alarm).map(|_| ())
    }

    fn filter(&mut self, name: &str, log_group: String, pattern: &str, metric: &str, value: &str) -> Result<()> {
        let namespace = self.plan.prefix.clone();
        let filter = MetricFilter {
            name: name.to_owned(),
            log_group_name: log_group,
            pattern: pattern.to_owned(),
            metric_transformation: json!({ "name": metric, "namespace": namespace, "value": value }),
        };
        self.stack.add(name, filter).map(|_| ())
    }

    fn function(&mut self, deployed: &Deployed) -> Result<()> {
        let name = &deployed.name;
        let short = &deployed.short;
        let of = |metric, statistic| Watched {
            namespace: "AWS/Lambda",
            name: metric,
            dimensions: BTreeMap::from([("FunctionName", deployed.function.get("function_name"))]),
            statistic,
            seconds: 300,
        };
        let seconds = u64::from(deployed.sizing.timeout_seconds);
        self.above(&format!("{short}-errors"), of("Errors", "Sum"), 0, format!("{name} failed."))?;
        self.above(&format!("{short}-throttles"), of("Throttles", "Sum"), 0, format!("{name} was throttled."))?;
        let description = format!("{name} took over {NEAR} % of its {seconds} seconds.");
        self.above(&format!("{short}-duration"), of("Duration", "Maximum"), seconds * 10 * NEAR, description)?;

        let own = |metric: &'static str, suffix: &str| (format!("{short}-{suffix}"), format!("{metric} {short}"));
        let (filter, metric) = own("Memory", "memory");
        self.filter(&filter, deployed.logs.get("name"), REPORT, &metric, "$used")?;
        let megabytes = u64::from(deployed.sizing.memory_mb);
        let description = format!("{name} used over {NEAR} % of its {megabytes} MB.");
        let namespace = self.plan.prefix.clone();
        let used = Watched {
            namespace: &namespace,
            name: &metric,
            dimensions: BTreeMap::new(),
            statistic: "Maximum",
            seconds: 300,
        };
        self.above(&filter, used, megabytes * NEAR / 100, description)?;

        let (filter, metric) = own("Error lines", "error-lines");
        self.filter(&filter, deployed.logs.get("name"), "{ $.level = \"ERROR\" }", &metric, "1")?;
        let lines = Watched {
            namespace: &namespace,
            name: &metric,
            dimensions: BTreeMap::new(),
            statistic: "Sum",
            seconds: 300,
        };
        self.above(&filter, lines, 0, format!("{name} logged an ERROR."))
    }
}

pub(crate) fn add(
    stack: &mut Stack,
    plan: &Plan<'_>,
    functions: &Functions,
    orchestration: &Orchestration,
    alerts: &Alerts,
    warehouse: Option<&Warehouse>,
) -> Result<()> {
    let mut watch = Watch { stack, plan, actions: vec![alerts.topic.arn()] };
    for deployed in &functions.all {
        watch.function(deployed)?;
    }
    let runs = |name, seconds| Watched {
        namespace: "AWS/States",
        name,
        dimensions: BTreeMap::from([("StateMachineArn", orchestration.machine.arn())]),
        statistic: "Sum",
        seconds,
    };
    watch.above("runs-failed", runs("ExecutionsFailed", 300), 0, "A run failed.".to_owned())?;
    watch.above("runs-timed-out", runs("ExecutionsTimedOut", 300), 0, "A run took too long.".to_owned())?;
    watch.above("runs-throttled", runs("ExecutionThrottled", 300), 0, "Step Functions throttled a run.".to_owned())?;
    let stale = "No run has succeeded for 30 minutes: the warehouse is stale.".to_owned();
    let silence = ("LessThanThreshold", 1, "breaching");
    watch.alarm("stale", runs("ExecutionsSucceeded", STALE_SECONDS), silence, stale)?;

    let load = plan.deployment.function(Function::Load);
    let rejected = Watched {
        namespace: metric::NAMESPACE,
        name: Metric::Rejected.name(),
        dimensions: BTreeMap::from([(metric::DIMENSION, load)]),
        statistic: "Sum",
        seconds: 300,
    };
    let told = format!("Rows were rejected: {}.", ledger::rejects_of(&plan.catalog));
    watch.above("rejected", rejected, 0, told)?;
    let missed = Watched {
        namespace: "AWS/SQS",
        name: "ApproximateNumberOfMessagesVisible",
        dimensions: BTreeMap::from([("QueueName", orchestration.missed.get("name"))]),
        statistic: "Maximum",
        seconds: 300,
    };
    watch.above("missed", missed, 0, "The schedule could not start a run.".to_owned())?;
    if let Some(warehouse) = warehouse {
        let free = Watched {
            namespace: "AWS/RDS",
            name: "FreeStorageSpace",
            dimensions: BTreeMap::from([("DBInstanceIdentifier", warehouse.instance.get("identifier"))]),
            statistic: "Minimum",
            seconds: 300,
        };
        let low = ("LessThanThreshold", LOW_STORAGE, "missing");
        watch.alarm("warehouse-storage", free, low, "The warehouse is nearly full.".to_owned())?;
    }
    let body = dashboard(plan, functions, orchestration).to_string();
    stack.add("dashboard", Dashboard { dashboard_name: plan.deployment.dashboard(), dashboard_body: body })?;
    Ok(())
}

fn dashboard(plan: &Plan<'_>, functions: &Functions, orchestration: &Orchestration) -> Value {
    let machine = orchestration.machine.arn();
    let run = |name: &str| json!(["AWS/States", name, "StateMachineArn", machine]);
    let each = |metric: &str, statistic: &str| -> Vec<Value> {
        let line = |deployed: &Deployed| json!(["AWS/Lambda", metric, "FunctionName", deployed.function.get("function_name"), { "stat": statistic }]);
        functions.all.iter().map(line).collect()
    };
    let own = |metric: Metric, function: &str| json!([metric::NAMESPACE, metric.name(), metric::DIMENSION, function]);
    let load = plan.deployment.function(Function::Load);
    let tables = plan.catalog.source.tables.iter();
    let names = tables.map(|table| plan.deployment.function(Function::Extract(table)));
    let rows = names.map(|name| own(Metric::Rows, &name)).collect();
    let widgets = [
        ("Runs", vec![run("ExecutionsSucceeded"), run("ExecutionsFailed"), run("ExecutionsTimedOut")], "Sum"),
        ("Time of a run", vec![run("ExecutionTime")], "Maximum"),
        ("Freshness of the warehouse", vec![own(Metric::Freshness, &load)], "Maximum"),
        ("Rows rejected, rows deferred", vec![own(Metric::Rejected, &load), own(Metric::Deferred, &load)], "Sum"),
        ("Rows read of each table", rows, "Sum"),
        ("Time of each function", each("Duration", "Maximum"), "Maximum"),
        ("Calls, the drivers of cost", each("Invocations", "Sum"), "Sum"),
        ("Errors", each("Errors", "Sum"), "Sum"),
    ];
    let widget = |(number, (title, metrics, statistic)): (usize, (&str, Vec<Value>, &str))| {
        json!({
            "type": "metric", "width": 12, "height": 6, "x": number % 2 * 12, "y": number / 2 * 6,
            "properties": {
                "title": title, "metrics": metrics, "stat": statistic, "period": 300, "view": "timeSeries",
                "region": plan.environment.region,
            },
        })
    };
    json!({ "widgets": widgets.into_iter().enumerate().map(widget).collect::<Vec<_>>() })
}
