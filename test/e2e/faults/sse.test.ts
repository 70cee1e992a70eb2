/** Group TS of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { sseRows, streamScripts } from "./rows/sse.ts";

runRows("TS", sseRows, { scripts: streamScripts, config: { servers: { call_timeout_ms: 800 } } });
