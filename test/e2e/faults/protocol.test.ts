/** Group PR of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { protocolRows } from "./rows/protocol.ts";
import { protocolWayRows, protocolWaySchemas, protocolWayScripts } from "./rows/protocol-ways.ts";
import { schemaRows, schemaScripts, schemasOfTools } from "./rows/schemas.ts";

const asked = { sampling: { method: "sampling/createMessage", params: {} } };
const reply = (message: object) => Response.json({ jsonrpc: "2.0", ...message });

runRows("PR", protocolRows, {
  scripts: {
    "asks-for-input": (id) =>
      reply({ id, result: { resultType: "inputRequired", inputRequests: asked } }),
    "unknown-result-type": (id) => reply({ id, result: { resultType: "surprise", content: [] } }),
    "both-outcomes": (id) =>
      reply({ id, result: { content: [] }, error: { code: 1, message: "both" } }),
    "code-is-text": (id) => reply({ id, error: { code: "1", message: "text" } }),
    "foreign-id": () => reply({ id: "never-asked", result: { content: [] } }),
  },
});

runRows("PR, ways", protocolWayRows, {
  scripts: protocolWayScripts,
  schemas: protocolWaySchemas,
});

runRows("PR, schemas", schemaRows, { scripts: schemaScripts, schemas: schemasOfTools });
