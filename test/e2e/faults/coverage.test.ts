/** Holds the suite to its manifest: nothing listed is missing, nothing is run that is not listed. */
import { afterAll, expect, test } from "bun:test";
import { createRemoteIssuers } from "../../support/remote-issuers.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { createTokenIssuers } from "../../support/token-issuers.ts";
import { covered, groups, uncovered } from "./manifest.ts";
import { authenticationRows } from "./rows/authentication.ts";
import { authorizationRows } from "./rows/authorization.ts";
import { endingSocketRows, endingStreamRows } from "./rows/endings.ts";
import { httpRows } from "./rows/http.ts";
import { issuerRows } from "./rows/issuers.ts";
import { listenRows, resumptionRows, subscriptionRows } from "./rows/listens.ts";
import { proofRows } from "./rows/proofs.ts";
import { protocolRows } from "./rows/protocol.ts";
import { protocolWayRows } from "./rows/protocol-ways.ts";
import { schemaRows } from "./rows/schemas.ts";
import { slowSocketRows, slowStreamRows } from "./rows/slow-readers.ts";
import { endlessRows, sseRows } from "./rows/sse.ts";
import { taskRows } from "./rows/tasks.ts";
import { websocketRows } from "./rows/websocket.ts";

const folder = temporaryFolder("coverage");
const remote = createRemoteIssuers(1);
afterAll(() => remote[Symbol.asyncDispose]());
afterAll(() => folder[Symbol.asyncDispose]());

const rows = [
  ...protocolRows,
  ...protocolWayRows,
  ...schemaRows,
  ...httpRows,
  ...sseRows,
  ...endlessRows,
  ...slowStreamRows,
  ...endingStreamRows,
  ...listenRows,
  ...subscriptionRows,
  ...resumptionRows,
  ...websocketRows,
  ...slowSocketRows,
  ...endingSocketRows,
  ...authenticationRows(createTokenIssuers(folder.path)),
  ...proofRows(createTokenIssuers(folder.path)),
  ...issuerRows(remote),
  ...authorizationRows,
  ...taskRows,
];
const wantedRows = 70;

/** `PR-01 http-legacy`, one for each row and transport. */
function pairsOf(entries: Iterable<readonly [string, readonly string[]]>): readonly string[] {
  const pairs = [...entries].flatMap(([id, on]) => on.map((transport) => `${id} ${transport}`));
  return [...new Set(pairs)].sort();
}

test("every row and transport of the manifest has a test, and no test is outside it", () => {
  const run = pairsOf(rows.map((row) => [row.id, row.transports] as const));
  expect(run).toEqual([...pairsOf(Object.entries(covered))]);
});

test("every row of the six groups is run, or says why not", () => {
  const ids = Object.entries(groups).flatMap(([group, count]) =>
    Array.from({ length: count }, (_, at) => `${group}-${String(at + 1).padStart(2, "0")}`),
  );
  const listed = [...Object.keys(covered), ...Object.keys(uncovered)];
  expect(listed.sort()).toEqual(ids.sort());
});

test(`at least ${wantedRows} rows are run`, () => {
  expect(Object.keys(covered).length).toBeGreaterThanOrEqual(wantedRows);
});
