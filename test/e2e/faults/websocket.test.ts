/** Group TW of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { websocketRows } from "./rows/websocket.ts";

runRows("TW", websocketRows);
