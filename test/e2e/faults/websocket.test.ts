/** Group TW of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { endingSocketRows } from "./rows/endings.ts";
import { slowReaderScripts, slowSocketRows } from "./rows/slow-readers.ts";
import { websocketRows } from "./rows/websocket.ts";

runRows("TW", websocketRows);
runRows("TW, moments", [...slowSocketRows, ...endingSocketRows], {
  scripts: slowReaderScripts,
  config: { agents: { slow_reader_seconds: 1 } },
});
