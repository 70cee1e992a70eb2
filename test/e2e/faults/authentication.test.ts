/** Group AN of the fault catalogue against the executable. */
import { afterAll } from "bun:test";
import { runRows } from "../../support/fault-suite.ts";
import { freePort } from "../../support/free-port.ts";
import { createRemoteIssuers } from "../../support/remote-issuers.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { createTokenIssuers } from "../../support/token-issuers.ts";
import { authenticationRows } from "./rows/authentication.ts";
import { issuerRows } from "./rows/issuers.ts";
import { proofRows } from "./rows/proofs.ts";

const folder = temporaryFolder("issuers");
afterAll(() => folder[Symbol.asyncDispose]());
const port = freePort();
const remote = createRemoteIssuers(port);
afterAll(() => remote[Symbol.asyncDispose]());
const issuers = createTokenIssuers(folder.path);
const isGuessing = (id: string) => id === "AN-19";
const rows = authenticationRows(issuers);
const config = { identity: issuers.identity };

runRows(
  "AN",
  rows.filter((row) => !isGuessing(row.id)),
  { config },
);
runRows("AN, proofs", proofRows(issuers), { config });
runRows(
  "AN, guessing",
  rows.filter((row) => isGuessing(row.id)),
  {
    config: {
      agents: { trusted_proxies: ["127.0.0.1"] },
      limits: { failed_auth_per_minute: 5 },
    },
  },
);
runRows("AN, issuers elsewhere", issuerRows(remote), {
  config: remote.config,
  args: ["--port", String(port)],
});
