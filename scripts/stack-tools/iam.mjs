// Asks an independent IAM simulator whether the stack's policies allow what a recorded run did, and nothing that no run
// may do: node iam.mjs cdk.tf.json calls.jsonl
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const [stackFile, callsFile] = process.argv.slice(2);
const stack = JSON.parse(readFileSync(stackFile, "utf8"));
const calls = readFileSync(callsFile, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const resources = stack.resource;
const [account, partition] = ["123456789012", "aws"];
const region = stack.provider.aws[0].region;
const machine = Object.keys(resources.aws_sfn_state_machine)[0];
const prefix = machine.replace(/-etl$/, "");

// What Terraform would put where a reference stands.
const arns = {
  aws_s3_bucket: (name) => `arn:aws:s3:::${resolve(resources.aws_s3_bucket[name].bucket)}`,
  aws_lambda_function: (name) => `arn:aws:lambda:${region}:${account}:function:${name}`,
  aws_cloudwatch_log_group: (name) =>
    `arn:aws:logs:${region}:${account}:log-group:${resources.aws_cloudwatch_log_group[name].name}`,
  aws_secretsmanager_secret: (name) => `arn:aws:secretsmanager:${region}:${account}:secret:${prefix}/${name}-AbCdEf`,
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

// A role's own policy, and those attached to it: their names begin with the role's.
const policiesOf = (role) => {
  const attached = Object.entries(resources.aws_iam_policy ?? {}).filter(([name]) => name.startsWith(`${role}-calls-`));
  const own = [[role, resources.aws_iam_role_policy[role]]];
  return [...own, ...attached].map(([name, body]) => ({ name, policy: JSON.parse(resolve(body.policy)) }));
};
const bucketPolicy = (name) => JSON.parse(resolve(resources.aws_s3_bucket_policy[name].policy));
// The functions of a laptop have no environment in their names.
const pipeline = calls.find((call) => call.resource.function).resource.function.replace(/-plan$/, "");
const deployed = (name) => name.replace(new RegExp(`^${pipeline}-`), `${prefix}-`);

function arnOf(resource) {
  if (resource.bucket) return arns.aws_s3_bucket(resource.bucket) + (resource.key ? `/${resource.key}` : "");
  if (resource.secret) {
    const kept = resource.secret in resources.aws_secretsmanager_secret ? "aws_secretsmanager_secret" : "aws_db_instance";
    return arns[kept](resource.secret);
  }
  if (resource.function) return arns.aws_lambda_function(deployed(resource.function));
  if (resource.topic) return arns.aws_sns_topic("alerts");
  return arns.aws_sfn_state_machine(machine);
}

async function isAllowed({ caller, action, resource, context }) {
  const name = caller === "state machine" ? machine : deployed(caller);
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
    ...(resource.bucket ? { resourcePolicy: bucketPolicy(resource.bucket) } : {}),
  };
  const answer = await runSimulation(simulation, {});
  if (answer.resultType === "error") throw new Error(JSON.stringify(answer.errors));
  return answer.overallResult === "Allowed";
}

const wrong = [];
for (const call of calls) {
  if (!(await isAllowed(call))) wrong.push(`denied, but a run does it: ${JSON.stringify(call)}`);
}

// What nobody may do: each of these is derived from calls that are allowed, changed in one thing.
const created = { "s3:if-none-match": "*" };
const extracts = [...new Set(calls.map((call) => call.caller))].filter((caller) => caller.includes("-extract-"));
const [one, other] = extracts;
const tableOf = (caller) => caller.slice(caller.indexOf("-extract-") + "-extract-".length);
const object = (bucket, owner) => ({ bucket, key: `${owner}/batch/part-1-a.csv` });
const transform = calls.map((call) => call.caller).find((caller) => caller.includes("-transform-fact"));
const forbidden = [
  [one, "s3:PutObject", object("ingestion", tableOf(other)), created],
  [one, "s3:PutObject", object("ingestion", tableOf(one)), {}], // overwrites
  [one, "s3:PutObject", object("processed", "dim_date"), created],
  [one, "s3:GetObject", object("ingestion", tableOf(other)), {}],
  [one, "s3:DeleteObject", object("ingestion", tableOf(one)), {}],
  [one, "secretsmanager:GetSecretValue", { secret: "warehouse" }, {}],
  [one, "secretsmanager:PutSecretValue", { secret: "source" }, {}],
  [one, "lambda:InvokeFunction", { function: other }, {}],
  [one, "states:ListExecutions", {}, {}],
  [transform, "secretsmanager:GetSecretValue", { secret: "source" }, {}],
  [transform, "s3:PutObject", object("ingestion", tableOf(one)), created],
  [`${pipeline}-load`, "secretsmanager:GetSecretValue", { secret: "source" }, {}],
  [`${pipeline}-load`, "s3:GetObject", object("ingestion", tableOf(one)), {}],
  [`${pipeline}-load`, "s3:DeleteObject", { bucket: "processed", key: "_commits/x.json" }, {}],
  [`${pipeline}-plan`, "s3:PutObject", { bucket: "processed", key: "_commits/x.json" }, created],
  [`${pipeline}-plan`, "states:StartExecution", {}, {}],
  [`${pipeline}-halt`, "s3:GetObject", { bucket: "processed", key: "_commits/x.json" }, {}],
  ["state machine", "s3:GetObject", object("ingestion", tableOf(one)), {}],
  ["state machine", "secretsmanager:GetSecretValue", { secret: "source" }, {}],
].map(([caller, action, resource, context]) => ({ caller, action, resource, context }));
for (const call of forbidden) {
  if (await isAllowed(call)) wrong.push(`allowed, but nobody may: ${JSON.stringify(call)}`);
}

console.log(`${calls.length} recorded calls and ${forbidden.length} forbidden ones were simulated`);
for (const line of wrong) console.log(line);
process.exit(wrong.length === 0 ? 0 : 1);
