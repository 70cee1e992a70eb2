/**
 * A foreign operator, in plain JavaScript for Node: it knows the .proto files and grpc-js, and nothing of this
 * project. Arguments: address, token file, folder of the .proto files. Prints what it learned as one JSON line.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [address, tokenFile, protoFolder, modules] = process.argv.slice(2);
const require = createRequire(join(modules, "anything.js"));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const options = { keepCase: true, longs: Number, enums: String, includeDirs: [protoFolder] };
const files = ["client_service", "policy_service", "audit_service", "system_service"];
const definition = loader.loadSync(
  files.map((name) => `mcp_gateway/admin/v1/${name}.proto`),
  options,
);
const { v1 } = grpc.loadPackageDefinition(definition).mcp_gateway.admin;
const credentials = grpc.credentials.createInsecure();
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${readFileSync(tokenFile, "utf8").trim()}`);

const clients = new Map();
function call(service, method, request) {
  const client = clients.get(service) ?? new v1[service](address, credentials);
  clients.set(service, client);
  return new Promise((resolve, reject) => {
    client[method](request, metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const registered = await call("ClientService", "RegisterClient", {
  client: { id: "from-node", enabled: true, allowed_tools: ["tiny__*"], limits: { burst: 7 } },
});
const got = await call("ClientService", "GetClient", { id: "from-node" });
const missing = await call("ClientService", "GetClient", { id: "nobody" }).catch(
  ({ code }) => code,
);
const tail = new v1.AuditService(address, credentials).TailRecords({}, metadata);
const followed = new Promise((resolve) => tail.once("data", ({ record }) => resolve(record.event)));
tail.on("error", () => {});
let event;
while (event === undefined) {
  await call("PolicyService", "Explain", {
    principal: "client:from-node",
    server: "tiny",
    target: "x",
  }).catch(() => {});
  await call("AuditService", "QueryRecords", { page_size: 1 });
  event = await Promise.race([followed, new Promise((resolve) => setTimeout(resolve, 20))]);
}
tail.cancel();
const { version } = await call("SystemService", "GetStatus", {});
console.log(JSON.stringify({ token: registered.token, got: got.client, missing, event, version }));
process.exit(0);
