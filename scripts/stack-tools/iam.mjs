// Asks an independent IAM simulator whether the stack's policies allow what a recorded run did, and nothing that no run
// may do: node iam.mjs cdk.tf.json calls.jsonl laptop.json deployed.json
//
// The last two are what `cargo xtask names` says: the names where the run was recorded, and where the stack is deployed.
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const [stackFile, callsFile, laptopFile, deployedFile] = process.argv.slice(2);
const json = (file) => JSON.parse(readFileSync(file, "utf8"));
const [stack, laptop, deployed] = [stackFile, laptopFile, deployedFile].map(json);
const calls = readFileSync(callsFile, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const resources = stack.resource;
const [account, partition] = ["123456789012", "aws"];
const region = stack.provider.aws[0].region;
const machine = deployed.state_machine;

// What Terraform would put where a reference stands.
const arns = {
  aws_s3_bucket: (name) => `arn:aws:s3:::${resolve(resources.aws_s3_bucket[name].bucket)}`,
  aws_lambda_function: (name) => `arn:aws:lambda:${region}:${account}:function:${name}`,
  aws_cloudwatch_log_group: (name) =>
    `arn:aws:logs:${region}:${account}:log-group:${resources.aws_cloudwatch_log_group[name].name}`,
  aws_secretsmanager_secret: (name) =>
    `arn:aws:secretsmanager:${region}:${account}:secret:${resources.aws_secretsmanager_secret[name].name}-AbCdEf`,
  // The secret that RDS manages for its server.
  aws_db_instance: (name) => `arn:aws:secretsmanager:${region}:${account}:secret:rds!db-${name}-AbCdEf`,
  aws_iam_role: (name) => `arn:aws:iam::${account}:role/${resources.aws_iam_role[name].name}`,
  aws_sns_topic: (name) => `arn:aws:sns:${region}:${account}:${resources.aws_sns_topic[name].name}`,
  aws_sfn_state_machine: (name) => `arn:aws:states:${region}:${account}:stateMachine:${name}`,
  aws_sqs_queue: (name) => `arn:aws:sqs:${region}:${account}:${resources.aws_sqs_queue[name].name}`,
  aws_kms_key: (name) => `arn:aws:kms:${region}:${account}:key/${name}`,
};

function resolve(text) {
  return text.replace(/\$\{([^}]*)\}/g, (whole, path) => {
    if (path.endsWith("account_id")) return account;
    if (path.endsWith("partition")) return partition;
    const [kind, name, ...attribute] = path.split(".");
    if (!["arn", "master_user_secret[0].secret_arn"].includes(attribute.join(".")) || !arns[kind]) throw new Error(`cannot resolve ${whole}`);
    return arns[kind](name);
  });
}

// A role's own policy, and those attached to it.
const policiesOf = (role) => {
  const own = Object.entries(resources.aws_iam_role_policy)
    .filter(([, body]) => body.role === `\${aws_iam_role.${role}.id}`);
  const attached = Object.values(resources.aws_iam_role_policy_attachment ?? {})
    .filter((body) => body.role === `\${aws_iam_role.${role}.name}`)
    .map((body) => body.policy_arn.split(".")[1])
    .map((name) => [name, resources.aws_iam_policy[name]]);
  return [...own, ...attached].map(([name, body]) => ({ name, policy: JSON.parse(resolve(body.policy)) }));
};
// The policy of what a call is about.
const policyOf = ({ bucket, topic, queue }) => {
  const found =
    (bucket && resources.aws_s3_bucket_policy[bucket]) ||
    (topic && resources.aws_sns_topic_policy.alerts) ||
    (queue && resources.aws_sqs_queue_policy.missed);
  return found ? { resourcePolicy: JSON.parse(resolve(found.policy)) } : {};
};
// The functions come in the same order everywhere.
const deployedAs = new Map(laptop.functions.map((each, number) => [each.name, deployed.functions[number].name]));

function arnOf(resource) {
  if (resource.bucket) return arns.aws_s3_bucket(resource.bucket) + (resource.key ? `/${resource.key}` : "");
  if (resource.secret) {
    const kept = resource.secret in resources.aws_secretsmanager_secret ? "aws_secretsmanager_secret" : "aws_db_instance";
    return arns[kept](resource.secret);
  }
  if (resource.function) return arns.aws_lambda_function(deployedAs.get(resource.function));
  if (resource.topic) return arns.aws_sns_topic("alerts");
  if (resource.queue) return arns.aws_sqs_queue("missed");
  return arns.aws_sfn_state_machine(machine);
}

async function isAllowed({ caller, action, resource, context }) {
  const name = { "state machine": machine, schedule: deployed.schedule }[caller] ?? deployedAs.get(caller);
  const role = arns.aws_iam_role(name);
  const simulation = {
    request: {
      principal: role,
      action,
      resource: { resource: arnOf(resource), accountId: account },
      contextVariables: { "aws:SecureTransport": "true", "aws:PrincipalArn": role, ...context },
    },
    identityPolicies: policiesOf(name),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...policyOf(resource),
  };
  const answer = await runSimulation(simulation, {});
  if (answer.resultType === "error") throw new Error(JSON.stringify(answer.errors));
  return answer.overallResult === "Allowed";
}

const wrong = [];
// What the laptop's schedule has no call for.
calls.push(
  { caller: "schedule", action: "states:StartExecution", resource: {}, context: {} },
  { caller: "schedule", action: "sqs:SendMessage", resource: { queue: true }, context: {} },
);
for (const call of calls) {
  if (!(await isAllowed(call))) wrong.push(`denied, but a run does it: ${JSON.stringify(call)}`);
}

// What nobody may do: each of these is derived from calls that are allowed, changed in one thing.
const created = { "s3:if-none-match": "*" };
const inTheClear = { "aws:SecureTransport": "false" };
const called = new Set(calls.map((call) => call.caller));
const functions = (program) => laptop.functions.filter((each) => each.program === program && called.has(each.name));
const [{ name: one, subject: oneTable }, { name: other, subject: otherTable }] = functions("extract");
const [{ name: checkpoint }] = functions("checkpoint");
const [{ name: plan }] = functions("plan");
const [{ name: load }] = functions("load");
// It calls nothing by itself.
const { name: halt } = laptop.functions.find((each) => each.program === "halt");
const transform = functions("transform").at(-1).name;
const object = (bucket, owner) => ({ bucket, key: `${owner}/batch/part-1-a.csv` });
const state = { bucket: "processed", key: `${laptop.states}x.json` };
const forbidden = [
  [one, "s3:PutObject", object("ingestion", otherTable), created],
  [one, "s3:PutObject", object("ingestion", oneTable), {}], // overwrites
  [one, "s3:PutObject", object("processed", otherTable), created],
  [one, "s3:GetObject", object("ingestion", otherTable), {}],
  [one, "s3:DeleteObject", object("ingestion", oneTable), {}],
  [one, "secretsmanager:GetSecretValue", { secret: "warehouse" }, {}],
  [one, "secretsmanager:PutSecretValue", { secret: "source" }, {}],
  [one, "lambda:InvokeFunction", { function: other }, {}],
  [one, "states:ListExecutions", {}, {}],
  [transform, "secretsmanager:GetSecretValue", { secret: "source" }, {}],
  [transform, "s3:PutObject", object("ingestion", oneTable), created],
  [load, "secretsmanager:GetSecretValue", { secret: "source" }, {}],
  [load, "s3:GetObject", object("ingestion", oneTable), {}],
  [load, "s3:DeleteObject", state, {}],
  [checkpoint, "secretsmanager:GetSecretValue", { secret: "source" }, {}],
  [checkpoint, "s3:GetObject", state, {}],
  [plan, "s3:PutObject", state, created],
  [plan, "s3:PutObject", object("ingestion", oneTable), created],
  [plan, "secretsmanager:GetSecretValue", { secret: "warehouse" }, {}],
  [plan, "states:StartExecution", {}, {}],
  [halt, "s3:GetObject", state, {}],
  [one, "s3:PutObject", object("ingestion", oneTable), { ...created, ...inTheClear }],
  ["state machine", "sns:Publish", { topic: true }, inTheClear],
  ["schedule", "sqs:SendMessage", { queue: true }, inTheClear],
  ["state machine", "s3:GetObject", object("ingestion", oneTable), {}],
  ["state machine", "secretsmanager:GetSecretValue", { secret: "source" }, {}],
].map(([caller, action, resource, context]) => ({ caller, action, resource, context }));
for (const call of forbidden) {
  if (await isAllowed(call)) wrong.push(`allowed, but nobody may: ${JSON.stringify(call)}`);
}

console.log(`${calls.length} calls that runs make and ${forbidden.length} forbidden ones were simulated`);
for (const line of wrong) console.log(line);
process.exit(wrong.length === 0 ? 0 : 1);
