/** Group TS of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { endingStreamRows } from "./rows/endings.ts";
import {
  listenRows,
  listensPerPrincipalMax,
  resumptionRows,
  subscriptionRows,
  toldScripts,
} from "./rows/listens.ts";
import { slowReaderScripts, slowStreamRows } from "./rows/slow-readers.ts";
import { endlessRows, sseRows, streamScripts } from "./rows/sse.ts";

runRows("TS", sseRows, { scripts: streamScripts });
runRows("TS, without end", endlessRows, {
  scripts: streamScripts,
  config: { servers: { call_timeout_ms: 800 } },
});
runRows("TS, moments", [...slowStreamRows, ...endingStreamRows], {
  scripts: slowReaderScripts,
  config: { agents: { slow_reader_seconds: 1 } },
});
runRows("TS, listens", [...listenRows, ...subscriptionRows], {
  config: { agents: { listens_per_principal_max: listensPerPrincipalMax } },
});
runRows("TS, resumption", resumptionRows, { scripts: toldScripts });
